import json
from pathlib import Path

from service.scores import read_scores


def weights(folder: Path, metrics: object) -> str:
    (folder / "model.safetensors").touch()
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return f"mine={folder}"


def test_a_score_is_of_a_set_that_was_held_out(tmp_path: Path) -> None:
    given = weights(tmp_path, {"sets": {"a-val": {"mAP": 0.9}, "a-test": {"mAP": 0.5}}})
    score = read_scores([given])["mine"]
    assert (score.mAP, score.scored_on) == (0.5, "a-test")


def test_weights_without_a_score_are_left_out(tmp_path: Path) -> None:
    for number, metrics in enumerate(([], {}, {"sets": {}}, {"sets": {"a": {}}})):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert read_scores([weights(folder, metrics)]) == {}
