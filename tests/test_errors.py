import inspect

from vidar_det import errors


def test_every_error_is_a_vidar_error_and_says_what_it_means() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(kinds) > 5
    for kind in kinds:
        assert issubclass(kind, errors.VidarError)
        assert kind.__doc__


def test_the_tree_is_drawn_in_the_module() -> None:
    for name, _ in inspect.getmembers(errors, inspect.isclass):
        assert name in (errors.__doc__ or "")
