from tests.unit.session.harness import endpoint

from shadowmesh.session.amplification import AddressBudget
from shadowmesh.session.limits import MAX_UNPROVED_ADDRESSES


def test_an_address_is_sent_three_bytes_for_each_that_it_sent() -> None:
    budget = AddressBudget()
    budget.credit(endpoint(1), 100)
    assert budget.spend(endpoint(1), 200)
    assert not budget.spend(endpoint(1), 101)
    assert budget.spend(endpoint(1), 100)
    assert not budget.spend(endpoint(1), 1)


def test_what_one_address_sent_pays_for_no_other() -> None:
    budget = AddressBudget()
    budget.credit(endpoint(1), 100)
    assert not budget.spend(endpoint(2), 1)
    assert not budget.spend(endpoint(1, port=2), 1)


def test_the_ninth_address_is_sent_nothing() -> None:
    budget = AddressBudget()
    for number in range(MAX_UNPROVED_ADDRESSES + 1):
        budget.credit(endpoint(number), 100)
    assert budget.spend(endpoint(MAX_UNPROVED_ADDRESSES - 1), 1)
    assert not budget.spend(endpoint(MAX_UNPROVED_ADDRESSES), 1)
