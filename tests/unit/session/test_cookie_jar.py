from tests.unit.session.harness import endpoint, identity

from shadowmesh.session.cookie_jar import CookieJar
from shadowmesh.session.limits import COOKIE_HELD_S, MAX_COOKIES

BOB, CAROL = identity(2).peer_id, identity(3).peer_id


def test_a_cookie_is_for_one_peer_at_one_endpoint() -> None:
    jar = CookieJar()
    jar.put(BOB, endpoint(2), b"c", 0.0)
    assert jar.get(BOB, endpoint(2), 1.0) == b"c"
    assert jar.get(BOB, endpoint(2, port=9), 1.0) is None
    assert jar.get(CAROL, endpoint(2), 1.0) is None


def test_a_cookie_is_held_for_two_minutes() -> None:
    jar = CookieJar()
    jar.put(BOB, endpoint(2), b"c", 0.0)
    assert jar.get(BOB, endpoint(2), COOKIE_HELD_S - 0.1) == b"c"
    assert jar.get(BOB, endpoint(2), COOKIE_HELD_S) is None


def test_a_later_cookie_replaces_the_earlier_one() -> None:
    jar = CookieJar()
    jar.put(BOB, endpoint(2), b"c", 0.0)
    jar.put(BOB, endpoint(2), b"d", 100.0)
    assert jar.get(BOB, endpoint(2), 200.0) == b"d"
    assert len(jar) == 1


def test_the_oldest_cookie_makes_room() -> None:
    jar = CookieJar()
    for port in range(1, MAX_COOKIES + 2):
        jar.put(BOB, endpoint(2, port), b"c", 0.0)
    assert len(jar) == MAX_COOKIES
    assert jar.get(BOB, endpoint(2, 1), 1.0) is None
    assert jar.get(BOB, endpoint(2, 2), 1.0) == b"c"


def test_the_cookies_of_a_peer_are_forgotten_with_it() -> None:
    jar = CookieJar()
    jar.put(BOB, endpoint(2), b"c", 0.0)
    jar.put(CAROL, endpoint(3), b"d", 0.0)
    jar.forget(BOB)
    assert jar.get(BOB, endpoint(2), 1.0) is None
    assert jar.get(CAROL, endpoint(3), 1.0) == b"d"
