"""The table of node classes, and what is published of it (spec section 5)."""

from comfyserve.embedded.graph.catalogue import Catalogue
from tests.embedded.sample_nodes import MAPPINGS


class Growing(str):
    """A name at whose first look-up a pack adds a class, as its worker may while the list is made."""

    catalogue: Catalogue | None = None

    def __hash__(self) -> int:
        growing, self.catalogue = self.catalogue, None
        if growing is not None:
            growing.add({"Late": MAPPINGS["Number"]}, {}, "pack")
        return super().__hash__()


def test_a_class_added_meanwhile_does_not_disturb() -> None:
    catalogue = Catalogue()
    first = Growing("First")
    catalogue.add({first: MAPPINGS["Number"], "Second": MAPPINGS["Show"]}, {})
    first.catalogue = catalogue
    assert catalogue.all_info().keys() >= {"First", "Second"}
    assert "Late" in catalogue


def test_no_names_are_no_classes() -> None:
    catalogue = Catalogue()
    catalogue.add({"Number": MAPPINGS["Number"]}, {})
    assert catalogue.all_info([]) == {}
    assert catalogue.all_info(["Number", "absent"]).keys() == catalogue.all_info().keys() == {"Number"}
