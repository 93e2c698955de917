from netlab.testing import lab_fixture

shop = lab_fixture("../shop.yaml", scope="session")
