"""A manifest inside a picture's file: the packet of XMP that PNG, JPEG and WebP all have a place for.

The file is taken apart and put together again; no pixel is decoded or encoded, and all other metadata stay. XMP is
ISO 16684-1, its places in the three formats are those of Adobe's XMP Specification Part 3 (sections 1.1.3 and 1.1.5)
and of the WebP Container Specification.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Final
from xml.sax.saxutils import escape, unescape

from nst.pictures.images import metadata_of

_PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:nst="urn:nst:1"><nst:manifest>{}</nst:manifest></rdf:Description>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
_MANIFEST: Final = re.compile(r"<nst:manifest>(.*?)</nst:manifest>", re.DOTALL)
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_AFTER_HEADER: Final = 33
"""Where the first chunk after IHDR begins."""

_JPEG_SEGMENT: Final = b"http://ns.adobe.com/xap/1.0/\0"
_MOST_IN_JPEG: Final = 65_533 - len(_JPEG_SEGMENT)
_XMP_FLAG: Final = 0x04


def with_manifest(data: bytes, manifest: str) -> bytes:
    """Return the file of a picture with a manifest in it.

    Args:
        data: A file of PNG, JPEG or WebP, without XMP; a WebP with a header of its extended format, as those have that
            hold EXIF or move. Files of other formats are returned as they are.
        manifest: The manifest; of a JPEG, which holds 64 kB of XMP at most, a longer one is left out.
    """
    packet = _PACKET.format(escape(manifest)).encode()
    if data.startswith(_PNG):
        body = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + packet
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[:_AFTER_HEADER] + chunk + data[_AFTER_HEADER:]
    if data.startswith(b"\xff\xd8") and len(packet) <= _MOST_IN_JPEG:
        place = _after_exif(data)
        length = struct.pack(">H", 2 + len(_JPEG_SEGMENT) + len(packet))
        return data[:place] + b"\xff\xe1" + length + _JPEG_SEGMENT + packet + data[place:]
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":
        flags = bytes([data[20] | _XMP_FLAG])
        chunk = b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
        rest = b"WEBP" + data[12:20] + flags + data[21:] + chunk
        return b"RIFF" + struct.pack("<I", len(rest)) + rest
    return data


def _after_exif(data: bytes) -> int:
    """Return where the first segment of a JPEG begins that is neither JFIF nor EXIF: readers want these first."""
    place = 2
    while data[place : place + 2] in {b"\xff\xe0", b"\xff\xe1"}:
        place += 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
    return place


def manifest_in(data: bytes) -> str:
    """Return the manifest that `with_manifest` wrote into a file, "" if there is none.

    Raises:
        InputError: `data` is no PNG, JPEG or WebP file.
    """
    with metadata_of(data) as image:
        packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or ""
    found = _MANIFEST.search(packet.decode("utf-8", "replace") if isinstance(packet, bytes) else packet)
    return unescape(found[1]) if found else ""
