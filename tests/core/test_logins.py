"""Logins in the addresses of a graph become credentials for exactly these addresses."""

import json

from comfyserve.core.credentials import MAX_CREDENTIALS, BasicAuth, BearerAuth, Credential, auth_for
from comfyserve.core.graph import Graph, parse_graph
from comfyserve.core.logins import lift_logins


def graph(**images: object) -> Graph:
    """Nodes that load pictures, by name."""
    return parse_graph(
        {name: {"class_type": "LoadImage", "inputs": {"image": image}} for name, image in images.items()}
    )


def test_a_login_is_taken_out_and_opens_what_it_stood_in() -> None:
    lifted = lift_logins(graph(a="https://ann:p%40ss@h.example/a.png?x=1", b="https://h.example/b.png"), None, ())
    assert lifted.graph.nodes["a"].inputs["image"] == "https://h.example/a.png?x=1"
    assert lifted.credentials == (Credential("https://h.example/a.png?x=1", BasicAuth("ann", "p@ss")),)
    assert auth_for("https://h.example/a.png?x=1", lifted.credentials) == BasicAuth("ann", "p@ss")
    assert auth_for("https://h.example/b.png", lifted.credentials) is None
    assert "p%40ss" not in repr(lifted) and "p@ss" not in repr(lifted)


def test_lists_models_and_repositories_too() -> None:
    found = parse_graph(
        {
            "folder": {
                "class_type": "VHS_LoadImages",
                "inputs": {"directory": ["http://u:p@h/1.png", "http://h/2.png"]},
            },
            "batch": {
                "class_type": "ComfyUIDeployExternalImageBatch",
                "inputs": {"images": json.dumps(["http://u:p@h/1.png", "http://u:p@h/3.png"])},
            },
            "lora": {"class_type": "LoraLoader", "inputs": {"lora_name": "git+https://u:p@h/r.git#folder=loras"}},
        }
    )
    lifted = lift_logins(found, None, ())
    assert "u:p@" not in json.dumps(lifted.graph.as_json())
    assert lifted.graph.nodes["folder"].inputs["directory"] == ["http://h/1.png", "http://h/2.png"]
    assert lifted.graph.nodes["lora"].inputs["lora_name"] == "git+https://h/r.git#folder=loras"
    assert {one.url_pattern for one in lifted.credentials} == {
        "http://h/1.png",
        "http://h/3.png",
        "git+https://h/r.git",
    }


def test_what_opened_an_address_still_does() -> None:
    """A pattern that names the address with its login came before the login; one that names it without did not."""
    given = (Credential("http://ann:x@h/**", BearerAuth("t")), Credential("http://h/**", BearerAuth("other")))
    lifted = lift_logins(graph(a="http://ann:x@h/a.png", b="http://bob:y@h/b.png"), None, given)
    assert auth_for("http://h/a.png", lifted.credentials) == BearerAuth("t")
    assert auth_for("http://h/b.png", lifted.credentials) == BasicAuth("bob", "y")


def test_what_cannot_be_lifted_stays() -> None:
    texts = {
        "two": "http://cy:z@h/a.png",
        "wild": "http://a:b@*.example/x.png",
        "none": "http://[a:b@h/x.png",
        "name": "mine@home.png",
    }
    lifted = lift_logins(graph(one="http://ann:x@h/a.png", **texts), None, ())
    assert {name: lifted.graph.nodes[name].inputs["image"] for name in texts} == texts
    assert lifted.credentials == (Credential("http://h/a.png", BasicAuth("ann", "x")),)
    many = graph(**{f"n{number}": f"http://u:p@h/{number}.png" for number in range(MAX_CREDENTIALS + 5)})
    assert len(lift_logins(many, None, ()).credentials) == MAX_CREDENTIALS


def test_inputs_are_shown_without_them() -> None:
    lifted = lift_logins(graph(a="http://ann:x@h/a.png"), None, ())
    inputs = {"picture": " http://ann:x@h/a.png ", "list": ["http://ann:x@h/a.png", "b"], "text": " a ", "number": 3}
    assert lifted.shown(inputs) == {
        "picture": "http://h/a.png",
        "list": ["http://h/a.png", "b"],
        "text": " a ",
        "number": 3,
    }
