from fastapi.testclient import TestClient


def test_the_server_is_alive_and_ready(client: TestClient) -> None:
    for path in ("/healthz", "/readyz"):
        response = client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
