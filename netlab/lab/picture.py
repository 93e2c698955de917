"""A lab as a picture, from its objects at one moment."""

from __future__ import annotations

from netlab.graph.layout import lay_out
from netlab.graph.scene import Scene, scene
from netlab.graph.svg import svg
from netlab.graph.way import add_way
from netlab.model.cluster import ClusterView
from netlab.model.journey import Journey


def scene_of(view: ClusterView) -> Scene:
    """What is to be seen of the lab."""
    return scene(
        view.topology,
        nodes=view.nodes,
        pods=view.pods,
        services=view.services,
        endpoint_slices=view.endpoint_slices,
    )


def drawing(view: ClusterView, journey: Journey | None = None) -> str:
    """The lab as SVG, with a packet's way over it where one is given."""
    layout = lay_out(scene_of(view))
    if journey:
        add_way(layout, journey)
    return svg(layout.picture(f"lab {view.lab}"))
