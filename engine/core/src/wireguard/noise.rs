//! The handshake: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, by `snow`, with chance from a seed.
//!
//! The PSK enters with the second message only. So a responder knows who is asking before it chooses the PSK, and
//! an initiator can try more than one on the answer.
//!
//! What is ours is erased when it is dropped; snow's state of a handshake and ring's keys are freed without that.

use curve25519_dalek::MontgomeryPoint;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types;
use snow::{Builder, Error, HandshakeState};

use super::random::Random;
use super::{PublicKey, Secret};

const PATTERN: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";
const PSK_AT: usize = 2;

/// Ephemeral key; static key and stamp, each with a tag.
pub(super) const MESSAGE1_BYTES: usize = 32 + (32 + 16) + (12 + 16);
/// Ephemeral key; a tag over nothing.
pub(super) const MESSAGE2_BYTES: usize = 32 + 16;

pub(super) type Stamp = [u8; 12];

pub(super) struct KeyPair {
    private: Secret,
    pub(super) public: PublicKey,
}

impl KeyPair {
    pub(super) fn new(private: Secret) -> Self {
        let public = PublicKey(MontgomeryPoint::mul_base_clamped(*private).to_bytes());
        Self { private, public }
    }

    /// False for the keys of low order, with which the shared secret would be known to everybody.
    pub(super) fn agrees_with(&self, peer: &PublicKey) -> bool {
        MontgomeryPoint(peer.0).mul_clamped(*self.private).to_bytes() != [0; 32]
    }
}

/// What both sides have at the end.
pub(super) struct TransportKeys {
    pub(super) send: Secret,
    pub(super) receive: Secret,
}

pub(super) struct Initiator(HandshakeState);

impl Initiator {
    pub(super) fn begin(
        own: &KeyPair,
        peer: &PublicKey,
        seed: Secret,
        stamp: &Stamp,
    ) -> Result<(Self, [u8; MESSAGE1_BYTES]), Error> {
        let builder = builder(seed)?.local_private_key(&own.private[..])?.remote_public_key(&peer.0)?;
        let mut state = builder.build_initiator()?;
        let mut message = [0; MESSAGE1_BYTES];
        state.write_message(stamp, &mut message)?;
        Ok((Self(state), message))
    }

    /// Fails for a wrong PSK, after which another one, or another answer, may be tried.
    pub(super) fn finish(
        &mut self,
        psk: &Secret,
        message: &[u8; MESSAGE2_BYTES],
    ) -> Result<TransportKeys, Error> {
        self.0.set_psk(PSK_AT, &psk[..])?;
        self.0.read_message(message, &mut [0; MESSAGE2_BYTES])?;
        let (send, receive) = self.0.dangerously_get_raw_split();
        Ok(TransportKeys { send: Secret::new(send), receive: Secret::new(receive) })
    }
}

pub(super) struct Responder(HandshakeState);

impl Responder {
    /// Who is asking, and the stamp; nothing is known of the PSK yet.
    pub(super) fn begin(
        own: &KeyPair,
        seed: Secret,
        message: &[u8; MESSAGE1_BYTES],
    ) -> Result<(Self, PublicKey, Stamp), Error> {
        let mut state = builder(seed)?.local_private_key(&own.private[..])?.build_responder()?;
        let mut payload = [0; MESSAGE1_BYTES];
        state.read_message(message, &mut payload)?;
        let peer = state.get_remote_static().and_then(|key| key.try_into().ok()).ok_or(Error::Input)?;
        let stamp = *payload.first_chunk().ok_or(Error::Input)?;
        Ok((Self(state), PublicKey(peer), stamp))
    }

    pub(super) fn finish(mut self, psk: &Secret) -> Result<(TransportKeys, [u8; MESSAGE2_BYTES]), Error> {
        self.0.set_psk(PSK_AT, &psk[..])?;
        let mut message = [0; MESSAGE2_BYTES];
        self.0.write_message(&[], &mut message)?;
        let (receive, send) = self.0.dangerously_get_raw_split();
        Ok((TransportKeys { send: Secret::new(send), receive: Secret::new(receive) }, message))
    }
}

fn builder(seed: Secret) -> Result<Builder<'static>, Error> {
    Builder::with_resolver(PATTERN.parse()?, Box::new(Resolver { seed })).prologue(PROLOGUE)
}

/// Snow's own, but for the chance, and for X25519: snow's lets keys of low order pass.
struct Resolver {
    seed: Secret,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(Seeded(Random::new(self.seed.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn types::Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::<X25519>::default() as Box<dyn types::Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct Seeded(Random);

impl types::Random for Seeded {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        for chunk in dest.chunks_mut(32) {
            chunk.copy_from_slice(&self.0.secret()[..chunk.len()]);
        }
        Ok(())
    }
}

#[derive(Default)]
struct X25519 {
    private: Secret,
    public: [u8; 32],
}

impl types::Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        self.private.copy_from_slice(private);
        self.public = MontgomeryPoint::mul_base_clamped(*self.private).to_bytes();
    }

    fn generate(&mut self, random: &mut dyn types::Random) -> Result<(), Error> {
        let mut private = Secret::default();
        random.try_fill_bytes(&mut private[..])?;
        self.set(&private[..]);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.private[..]
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public: [u8; 32] = *public.first_chunk().ok_or(Error::Input)?;
        let shared = MontgomeryPoint(public).mul_clamped(*self.private).to_bytes();
        out.get_mut(..32).ok_or(Error::Input)?.copy_from_slice(&shared);
        if shared == [0; 32] { Err(Error::Dh) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(number: u8) -> KeyPair {
        KeyPair::new(Secret::new([number; 32]))
    }

    #[test]
    fn both_sides_have_the_same_keys_if_they_have_the_same_psk() {
        let (a, b) = (keys(1), keys(2));
        let begun = Initiator::begin(&a, &b.public, Secret::new([3; 32]), &[4; 12]);
        let (mut initiator, message1) = begun.unwrap();
        let (responder, peer, stamp) = Responder::begin(&b, Secret::new([5; 32]), &message1).unwrap();
        assert_eq!((peer, stamp), (a.public, [4; 12]));
        let (theirs, message2) = responder.finish(&Secret::new([6; 32])).unwrap();
        assert!(initiator.finish(&Secret::new([7; 32]), &message2).is_err());
        let ours = initiator.finish(&Secret::new([6; 32]), &message2).unwrap();
        assert_eq!((ours.send, ours.receive), (theirs.receive, theirs.send));
    }

    #[test]
    fn keys_of_low_order_are_refused() {
        for public in [[0; 32], std::array::from_fn(|at| u8::from(at == 0))] {
            assert!(!keys(1).agrees_with(&PublicKey(public)));
            assert!(Initiator::begin(&keys(1), &PublicKey(public), Secret::new([3; 32]), &[0; 12]).is_err());
        }
        assert!(keys(1).agrees_with(&keys(2).public));
    }

    #[test]
    fn the_transcript_of_another_implementation_is_reproduced() {
        let text = include_str!("../../tests/vectors/noise_ikpsk2_25519_chachapoly_blake2s_cacophony.json");
        let all: serde_json::Value = serde_json::from_str(text).unwrap();
        let vector = &all["vectors"][0];
        assert_eq!(vector["protocol_name"], PATTERN);
        let field = |name: &str| hex(vector[name].as_str().unwrap());
        let psk = hex(vector["init_psks"][0].as_str().unwrap());
        let (init_static, resp_static) = (field("init_static"), field("resp_static"));
        let (init_ephemeral, resp_ephemeral) = (field("init_ephemeral"), field("resp_ephemeral"));
        let (remote, prologue) = (field("init_remote_static"), field("init_prologue"));
        let side = |private, ephemeral| {
            let resolver = Box::new(Resolver { seed: Secret::default() });
            Builder::with_resolver(PATTERN.parse().unwrap(), resolver)
                .prologue(&prologue)
                .and_then(|builder| builder.local_private_key(private))
                .unwrap()
                .fixed_ephemeral_key_for_testing_only(ephemeral)
        };
        let initiator = side(&init_static, &init_ephemeral).remote_public_key(&remote).unwrap();
        let mut initiator = initiator.build_initiator().unwrap();
        let mut responder = side(&resp_static, &resp_ephemeral).build_responder().unwrap();
        for state in [&mut initiator, &mut responder] {
            state.set_psk(PSK_AT, &psk).unwrap();
        }
        let messages = vector["messages"].as_array().unwrap();
        let part = |message: &serde_json::Value, name: &str| hex(message[name].as_str().unwrap());
        for (number, message) in messages[..2].iter().enumerate() {
            let (from, to) = match number {
                0 => (&mut initiator, &mut responder),
                _ => (&mut responder, &mut initiator),
            };
            let mut written = [0; 256];
            let length = from.write_message(&part(message, "payload"), &mut written).unwrap();
            assert_eq!(written[..length], part(message, "ciphertext"));
            to.read_message(&written[..length], &mut [0; 256]).unwrap();
        }
        assert_eq!(initiator.get_handshake_hash(), field("handshake_hash"));
        // The rest of the transcript shows that the keys given out are the right ones.
        let (send, receive) = initiator.dangerously_get_raw_split();
        for (number, message) in messages[2..].iter().enumerate() {
            let key = Secret::new(if number % 2 == 0 { send } else { receive });
            let key = super::super::cipher::Key::new(Default::default(), &key);
            let mut sealed = part(message, "ciphertext");
            let length = key.open(number as u64 / 2, &mut sealed).unwrap();
            assert_eq!(sealed[..length], part(message, "payload"));
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digits).collect()
    }
}
