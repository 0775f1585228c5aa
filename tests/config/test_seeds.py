"""Derived seeds: the same for ever, different for every key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchlab.config.seeds import derive_seed

KEYS = st.lists(st.integers() | st.text(max_size=10), max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("key", "seed"),
    [
        ((), 8238016292129134938),
        (("",), 1361356481192843501),
        ((0,), 8584251947051802233),
        (("0",), 6073433835670345832),
        ((0, "order", 2, 7), 287477153994381768),
        ((9223372036854775807, "weights", "conv1.weight", 5, 1, 3, 3), 6080271701792604824),
        ((-1, "é"), 866773187341420572),
    ],
)
def test_seed_of_a_key_never_changes(key: tuple[str | int, ...], seed: int) -> None:
    # A change here would change every study's results: none of these may be "updated".
    assert derive_seed(*key) == seed


@given(left=KEYS, right=KEYS)
def test_different_keys_give_different_seeds(
    left: tuple[str | int, ...], right: tuple[str | int, ...]
) -> None:
    assert (derive_seed(*left) == derive_seed(*right)) == (left == right)


@given(key=KEYS)
def test_seed_fits_every_generator(key: tuple[str | int, ...]) -> None:
    assert 0 <= derive_seed(*key) < 2**63


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((1,), ("1",)),
        ((True,), (1,)),
        (("ab", "c"), ("a", "bc")),
        (("a", "b"), ("a:b",)),
        ((1, 2), (12,)),
        ((), ("",)),
        (("order", 0, 1), ("order", 1, 0)),
    ],
)
def test_parts_keep_their_type_and_their_borders(
    left: tuple[str | int, ...], right: tuple[str | int, ...]
) -> None:
    assert derive_seed(*left) != derive_seed(*right)
