"""A manifest of a training against a critic is trained, and the model of it paints."""

from trainings import train_alone, write_pictures
from typer.testing import CliRunner

from flows.__main__ import app
from nst.pictures.images import decode
from tasks.models.choose import trained_models
from tasks.root import open_root

MANIFEST = """\
kind: train
name: game
photographs: photographs/
styles: styles/dots.png
training: {family: mgan, size: 32, steps: 3, batch_size: 2, layer: relu2_1, style_layers: relu2_1, checkpoint_every: 2,
           validate_every: 3, backbone: {name: vgg16, weights: random}}
"""


def test_a_manifest_is_trained_and_its_model_paints(tmp_path, monkeypatch):
    write_pictures(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "game.yaml").write_text(MANIFEST)
    train_alone("game.yaml", tmp_path / "out")

    def nst(*arguments):
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "mgan" in nst("models")
    (model,) = trained_models(open_root("out").catalog)
    nst("stylize", "photographs/0.png", "--model", model.model_id[:6], "--out", "painted.png")
    assert decode((tmp_path / "painted.png").read_bytes()).shape[2] == 3
