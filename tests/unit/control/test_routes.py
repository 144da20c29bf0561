from shadowmesh.control import routes
from shadowmesh.control.routes import Route
from shadowmesh.control.schema import Document


def test_every_route_has_a_path_and_a_document_of_its_own_version() -> None:
    table = [value for value in vars(routes).values() if isinstance(value, Route)]
    assert len({route.path for route in table}) == len(table) == 9
    for route in table:
        assert route.path.startswith("/v1/")
        assert issubclass(route.reply, Document)
        assert (route.method == "GET") <= (route.request is type(None))
