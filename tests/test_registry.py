import pytest

from nst.errors import UserError
from nst.methods import METHODS, stylize_batch
from nst.registry import resolve


def test_every_entry_of_the_methods_table_resolves():
    assert list(METHODS) == sorted(METHODS)
    assert all(callable(resolve(METHODS, name, what="method")) for name in METHODS)


def test_an_unknown_name_gets_the_known_ones_and_the_nearest():
    with pytest.raises(UserError, match=r"unknown method 'gatis'; expected one of .*gatys") as caught:
        resolve(METHODS, "gatis", what="method")
    assert caught.value.hint == "did you mean 'gatys'?"


def test_an_empty_batch_has_no_results():
    assert stylize_batch([], None) == []
