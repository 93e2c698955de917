"""The data base behind it, in one lab for the whole run."""

from netlab import Lab
from netlab.testing import LabFactory


def test_the_stock_answers_inside_the_cluster(shop: Lab) -> None:
    assert shop.pod("shell").probe("service/stock:5432").pods == {"stock": 1}


def test_without_its_pod_the_stock_refuses(shop: Lab) -> None:
    shop.delete("pod", "stock")
    assert shop.pod("shell").probe("service/stock:5432").refused


def test_the_pod_is_there_again(shop: Lab) -> None:
    assert shop.wait_for(lambda: shop.pod("shell").probe("service/stock:5432").reached, timeout=5)


def test_a_node_that_does_not_forward_is_told_from_one_that_does(shop: Lab) -> None:
    with shop.broken("ip-forward-off", on="node/node2"):
        assert shop.pod("shell").probe("service/stock:5432", timeout=0.3).dropped
        assert shop.why("pod/shell", "service/stock:5432").cause == "ip-forward-off"
    assert shop.pod("shell").probe("service/stock:5432").reached


def test_a_lab_of_its_own_ends_with_the_test(netlab: LabFactory) -> None:
    own = netlab("shop.yaml")
    own.delete("service", "stock")
    assert own.pod("shell").exec("getent hosts stock").status == 2
