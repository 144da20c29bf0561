from shadowmesh.demo.scenario import Figures, rows


def test_the_table_shows_what_was_measured() -> None:
    figures = Figures(
        login_ms=41.6,
        login_bytes_sent=19_900,
        login_bytes_received=24_300,
        file_bytes=1 << 30,
        transfer_s=4.0,
        gbit_per_s=2.147,
        received_after_backbone_died=512 << 20,
        backbone_bytes_during_transfer=812,
    )
    table = dict(rows(figures))
    assert table["first log-in (ML-DSA-87, ML-KEM-1024)"] == "42 ms"
    assert table["  on the wire until ready"] == "19.9 kB sent, 24.3 kB received"
    assert table["1,024 MiB over HTTP, SHA-256 equal"] == "4.0 s, 2.15 Gbit/s"
    assert table["  of it after the backbone was killed"] == "512 MiB"
    assert table["  of it while the file moved"] == "0.8 kB"
