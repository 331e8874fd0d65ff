// Clips in the box: one clock for the clip of a cell and the one that it is compared with.

// The clock counts the seconds of the content, which clips keep: of frames 24 to 47 of a content with 24 frames per
// second, the first one is shown at 1.0. Chromium shows these times as they are. But what it first gives as the duration
// of an MP4 file that begins at 1.0 is its length; the duration grows to the last frame's time while the file is read.
// Seeking beyond the duration ends at the duration, and is repeated when it has grown. Its own controls and its loop
// would begin at 0, where such a clip has nothing: so they are not used.

const EXACT = 0.02; // seconds; what two clocks may differ without being drawn together
const FAR = 0.3; // seconds; beyond, a clip jumps to the other's moment, and does not hurry
const SPEEDS = [0.1, 0.25, 0.5, 1, 2];
const broken = new Set(); // addresses that this browser could not play
const moment = { time: -1, rate: 1, playing: !matchMedia("(prefers-reduced-motion: reduce)").matches }; // from cell to cell
let player = null;

const clipOf = (i) => DATA.clips.values[DATA.clips.index[i]] ?? null;
const isVideo = (address) => /\.(mp4|m4v|mov|mkv|webm)$/i.test(address || "") && !broken.has(address);

// What is no MP4 file has a copy that is one beside its thumbnail, and so has a content that is no video file: browsers
// play GIF and WebP as they please. A copy that is not there counts as broken, and the file itself is shown.
const copyOf = (i, ending) => (clipOf(i) && DATA.thumbs[i] ? DATA.thumbs[i].replace(/\.webp$/, ending) : null);

function playedOf(i) {
  const [own, copy] = [DATA.pictures[i], copyOf(i, ".mp4")];
  return copy && !/\.mp4$/i.test(own) && !broken.has(copy) ? copy : own;
}

// The content of a clip, with its frames where they are those of the clip: its file, or the copy of what was selected.
function contentOf(i) {
  const [{ link }, copy] = [DATA.sources.values[DATA.sources.index[i]], copyOf(i, ".content.mp4")];
  if (isVideo(link)) return { source: link, clip: null };
  if (copy && !broken.has(copy)) return { source: copy, clip: clipOf(i) };
  return { source: /\.(gif|webp)$/i.test(link || "") ? link : null, clip: null };
}

function videoOf(address, label, poster, attributes) {
  const node = el("video", { src: address, "aria-label": label, poster, playsinline: true, muted: true, preload: "auto", disableremoteplayback: true, ...attributes });
  node.muted = true; // the attribute counts only in a page's source
  node.addEventListener("error", () => { if (node.isConnected) { broken.add(address); renderBox(); } });
  return node;
}

class Player {
  // `videos` are of the form { node, clip, shift }: the first one leads, and of another, whose `clip` is null if its
  // frames are not known, the moment `shift` seconds later belongs to each of the leader's.
  constructor(videos) {
    this.videos = videos.map((video) => ({ ...video, wanted: null, tried: null, shown: null }));
    [this.lead] = this.videos;
    this.clip = this.lead.clip;
    this.endsAt = null;
    for (const video of this.videos) {
      const note = (_, frame) => { video.shown = frame.mediaTime; video.node.requestVideoFrameCallback(note); };
      video.node.requestVideoFrameCallback?.(note);
      video.node.addEventListener("click", () => this.toggle());
    }
    this.lead.node.addEventListener("ended", () => this.hold());
    this.seekFrame(moment.time < this.clip.times[0] || moment.time >= this.clip.end ? 0 : this.frameAt(moment.time));
    this.bar = this.controls();
    this.turn = requestAnimationFrame(() => this.run());
  }

  frameAt(time) {
    const after = this.clip.times.findIndex((each) => each > time + 0.001); // Matroska rounds to milliseconds
    return after < 0 ? this.clip.times.length - 1 : Math.max(0, after - 1);
  }

  // The middle of the content's frame: the selected one may be shown for several of them.
  seekFrame(frame) {
    const { times, end, every } = this.clip;
    this.frame = frame;
    this.seek(times[frame] + ((times[frame + 1] ?? end) - times[frame]) / (2 * every), times[frame]);
  }

  // `least` is where the frame begins: what a clip may end at without having missed the moment.
  seek(time, least) {
    moment.time = time;
    this.endsAt = null;
    for (const video of this.videos) this.aim(video, time, least);
  }

  aim(video, time, least) {
    Object.assign(video, { wanted: this.within(video, time), tried: null });
    video.least = Math.min(least + video.shift, video.clip?.times.at(-1) ?? Infinity) - 0.001;
  }

  within({ clip, shift }, time) {
    return clip ? Math.min(Math.max(time + shift, clip.times[0]), clip.end) : time + shift;
  }

  reach(video) {
    const { node, wanted } = video;
    if (wanted === null || node.readyState < 1 || node.seeking) return;
    const possible = Math.min(wanted, node.duration);
    const isNew = video.tried !== node.duration;
    video.tried = node.duration;
    if (isNew && Math.abs(node.currentTime - possible) > 0.001) node.currentTime = wanted;
    else if (possible >= video.least) video.wanted = null;
  }

  arrived(video) {
    return video.wanted === null && video.node.readyState >= 2 && !video.node.seeking;
  }

  run() {
    this.turn = requestAnimationFrame(() => this.run());
    const { node } = this.lead;
    for (const video of this.videos) this.reach(video);
    const ready = this.videos.every((video) => this.arrived(video));
    if (ready && moment.playing) {
      moment.time = node.currentTime;
      this.frame = this.frameAt(this.lead.shown ?? node.currentTime);
      if (node.ended || node.currentTime >= this.clip.end) this.finish();
      else for (const video of this.videos) this.follow(video);
    } else this.hold();
    this.tell();
  }

  // A clip is read to its end when its last frame appears, which then has its own time to be shown.
  finish() {
    this.hold();
    this.endsAt ??= performance.now() + (1000 * Math.max(0, this.clip.end - this.lead.node.currentTime)) / moment.rate;
    if (performance.now() >= this.endsAt) this.seekFrame(0);
  }

  hold() {
    for (const video of this.videos) video.node.pause();
  }

  follow(video) {
    const [{ node, shift }, now] = [video, this.lead.node.currentTime];
    const drift = node.currentTime - shift - now;
    if (video !== this.lead && (node.ended || this.within(video, now) !== now + shift)) { node.pause(); return; } // it has no frame of this moment, and keeps its first or last one
    if (Math.abs(drift) > FAR) { this.aim(video, now, this.clip.times[this.frameAt(now)]); return; }
    node.playbackRate = moment.rate * (Math.abs(drift) > EXACT ? 1 - Math.max(-0.25, Math.min(0.25, 2 * drift)) : 1);
    if (node.paused) node.play().catch((error) => { if (error.name === "NotAllowedError") moment.playing = false; }); // a pause ends it, too
  }

  toggle() {
    moment.playing = !moment.playing;
    if (moment.playing) return;
    this.hold();
    this.seekFrame(this.frame);
  }

  step(by) {
    moment.playing = false;
    const count = this.clip.times.length;
    this.seekFrame((this.frame + by + count) % count);
  }

  controls() {
    const button = (label, title, onclick) => el("button", { type: "button", title, onclick }, label);
    this.button = button("", "Play or pause (space)", () => this.toggle());
    this.label = el("output", {});
    this.scrub = el("input", { type: "range", min: 0, max: this.clip.times.length - 1, step: 1, "aria-label": "Frame", oninput: () => { moment.playing = false; this.seekFrame(Number(this.scrub.value)); } });
    const speed = el("select", { "aria-label": "Speed", onchange: () => { moment.rate = Number(speed.value); } }, ...SPEEDS.map((rate) => el("option", { value: rate, selected: rate === moment.rate }, `${rate}×`)));
    return el("div", { class: "transport" }, this.button, button("‹", "Frame before (,)", () => this.step(-1)), button("›", "Next frame (.)", () => this.step(1)), this.scrub, this.label, speed);
  }

  tell() {
    const [{ first, every, times }, put] = [this.clip, (node, key, value) => { if (node[key] !== value) node[key] = value; }];
    put(this.button, "textContent", moment.playing ? "Pause" : "Play");
    put(this.label, "textContent", `frame ${first + this.frame * every}, ${times[this.frame].toFixed(3)} s`);
    if (document.activeElement !== this.scrub || moment.playing) put(this.scrub, "value", String(this.frame));
  }

  stop() {
    cancelAnimationFrame(this.turn);
    for (const { node } of this.videos) { node.pause(); node.removeAttribute("src"); node.load(); } // frees its decoder
  }
}

function stopClips() {
  player?.stop();
  player = null;
}

// Start the clips of a stage: `i` is the cell, `other` what it is compared with.
function playClips(stage, i, other) {
  const [own, second] = [stage.querySelector("video.own"), stage.querySelector("video.second")];
  const clip = clipOf(i);
  if (!clip || !(own || second)) return null;
  const found = own ? [{ node: own, clip, shift: 0 }] : [];
  const apart = other.clip && (other.clip.source !== clip.source || other.clip.times[0] >= clip.end || other.clip.end <= clip.times[0]);
  if (second && own) found.push({ node: second, clip: other.clip, shift: apart ? other.clip.times[0] - clip.times[0] : 0 });
  else if (second) found.push({ node: second, clip: other.clip ?? clip, shift: 0 });
  player = new Player(found);
  return player.bar;
}
