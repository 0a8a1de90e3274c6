"""A request's query comes in; a name given twice, or that the route does not know, is refused.

Frameworks take the last of several values, and ignore what nobody reads: both would answer another
question than was asked.
"""

from collections import Counter

from starlette.requests import HTTPConnection

from service.problems import invalid


async def check_query(connection: HTTPConnection) -> None:
    """Check the names of a query; a route's own model knows which of them there are.

    Raises:
        Problem: 422, with every wrong name.
    """
    route = connection.scope.get("route")
    if connection.scope["type"] != "http" or not getattr(route, "include_in_schema", False):
        return
    pairs = connection.query_params.multi_items()
    names = Counter(name for name, _ in pairs)
    wrong = [_error(name, "Given more than once", "repeated") for name in names if names[name] > 1]
    if not route.dependant.query_params:  # type: ignore[union-attr]  # FastAPI's
        unknown = dict.fromkeys(name for name, value in pairs if value)  # empty: as if not given
        wrong += [_error(name, "Extra inputs are not permitted", "extra") for name in unknown]
    if wrong:
        raise invalid(wrong)


def _error(name: str, message: str, kind: str) -> dict[str, object]:
    return {"loc": ("query", name), "msg": message, "type": kind}
