from shadowmesh.node.errors import HomeInUse, PrivilegeMissing


def test_the_holder_of_a_home_is_named_when_it_is_known() -> None:
    assert "process 7 uses /x" in str(HomeInUse("/x", "7"))
    assert "another process uses /x" in str(HomeInUse("/x", ""))


def test_a_missing_privilege_says_all_three_ways_out() -> None:
    assert "--tun none" in str(PrivilegeMissing("no"))
    assert "CAP_NET_ADMIN" in str(PrivilegeMissing("no"))
    assert "root" in str(PrivilegeMissing("no"))
