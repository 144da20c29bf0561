use serde_json::Value;
use shadowmesh_core::first_byte::{Kind, kind};

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).expect("hex") as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn the_vectors_of_the_specification_hold() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/vectors/first_byte.json");
    let vectors: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let want = match vector["kind"].as_str().unwrap() {
            "wireguard" => Kind::Wireguard,
            "stun" => Kind::Stun,
            "control" => Kind::Control,
            "relay" => Kind::Relay,
            "unknown" => Kind::Unknown,
            other => panic!("no such kind: {other}"),
        };
        assert_eq!(kind(&unhex(vector["hex"].as_str().unwrap())), want, "{vector}");
    }
}
