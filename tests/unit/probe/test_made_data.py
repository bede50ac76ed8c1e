"""What data are made up, by what arguments are for."""

from pathlib import Path

import pytest
import torch

from scaleaudit.probe.data import Made, widened
from scaleaudit.probe.roles import Kind, Role
from scaleaudit.probe.text import tokens


def made(*roles, seed=0):
    return next(Made(roles).batches(seed))


def role(name, kind, given, limit=0, *, is_input=True):
    return Role(name, kind, given, limit, is_input)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def test_text_is_that_of_the_standard_library():
    written = bytes(tokens(256)[:3000].tolist()).decode()
    assert (
        written in Path(__import__("sysconfig").get_paths()["stdlib"], "__future__.py").read_text()
    )


@pytest.mark.parametrize("vocabulary", [100, 300, 512, 20_000, 151_936])
def test_text_fits_any_vocabulary(vocabulary):
    found = tokens(vocabulary)[:200_000]
    assert 0 <= int(found.min()) <= int(found.max()) < vocabulary
    assert len(found.unique()) > min(vocabulary, 90) / 2
    _, counts = found.unique(return_counts=True)
    assert counts.max() > 2 * counts.float().mean()  # what is often and what is rare can be learnt


def test_targets_are_the_tokens_that_follow():
    given = torch.randint(64, (4, 9), generator=torch.Generator().manual_seed(1))
    batch = made(
        role("x", Kind.TOKENS, given[:, :-1], 64),
        role("y", Kind.CLASSES, given[:, 1:], 64, is_input=False),
    )
    assert torch.equal(batch["x"][:, 1:], batch["y"][:, :-1])


def test_what_is_a_copy_in_the_target_is_one_in_the_data():
    given = torch.randint(64, (4, 9))
    x = role("x", Kind.TOKENS, given, 64)
    batch = made(x, role("labels", Kind.CLASSES, given.clone(), 64, is_input=False))
    assert torch.equal(batch["x"], batch["labels"])


def test_negative_classes_stay_where_they_are():
    given = torch.randint(64, (4, 9))
    labels = given.roll(1).masked_fill(torch.arange(9) < 3, -100)
    x, y = role("x", Kind.TOKENS, given, 64), role("y", Kind.CLASSES, labels, 64, is_input=False)
    found = made(x, y)["y"]
    assert (found[:, :3] == -100).all()
    assert (found[:, 3:] >= 0).all()


def test_floats_are_of_low_rank_and_as_large_as_given():
    given = 3 * noise(64, 32) + 1
    found = made(role("x", Kind.FLOATS, given))["x"]
    centred = found - found.mean(0)
    assert torch.linalg.matrix_rank(centred, rtol=1e-4) <= 5
    assert float(found.std()) == pytest.approx(float(given.std()), rel=0.05)


@pytest.mark.parametrize("kind", [Kind.RESPONSES, Kind.CLASSES])
def test_answers_are_a_function_of_the_inputs(kind):
    """Examples that are near each other have answers that are."""
    given = noise(512, 16)
    classes = torch.randint(3, (512,))
    wanted = noise(512, 2) if kind is Kind.RESPONSES else classes
    batch = made(role("x", Kind.FLOATS, given), role("y", kind, wanted, 3, is_input=False))
    distance = torch.cdist(batch["x"], batch["x"]).fill_diagonal_(torch.inf)
    nearest = distance.argmin(1)
    if kind is Kind.CLASSES:
        assert float((batch["y"] == batch["y"][nearest]).float().mean()) > 0.7  # a third by chance
    else:
        away = (batch["y"] - batch["y"][nearest]).square().mean()
        assert float(away) < 0.5 * float(batch["y"].var())  # 2 by chance


def test_images_are_blobs():
    found = made(role("x", Kind.IMAGES, noise(4, 3, 16, 16)))["x"]
    neighbours = (found[..., 1:] - found[..., :-1]).square().mean()
    assert float(neighbours) < 0.2 * float(found.var())


def test_a_seed_determines_the_data():
    x = role("x", Kind.FLOATS, noise(8, 4))
    assert torch.equal(made(x, seed=1)["x"], made(x, seed=1)["x"])
    assert not torch.equal(made(x, seed=1)["x"], made(x, seed=2)["x"])


def test_few_examples_are_repeated_where_all_have_as_many():
    wide = widened({"x": torch.zeros(2, 3), "y": torch.arange(2), "step": torch.tensor(1.0)})
    assert [value.shape for value in wide.values()] == [(8, 3), (8,), ()]
    different = {"x": torch.zeros(2, 3), "y": torch.zeros(5)}
    assert widened(different) is different
