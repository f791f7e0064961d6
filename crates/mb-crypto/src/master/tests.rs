//! HPKE against the vectors of its RFC; the master key, its file and the secrets under it.

use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_128;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("ascii"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

struct Vector {
    private: &'static str,
    public: &'static str,
    encapsulated: &'static str,
    /// Under the associated data `Count-0`, `Count-1`.
    ciphertexts: [&'static str; 2],
}

/// RFC 9180, appendix A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode.
const AES_128: Vector = Vector {
    private: "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
    public: "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
    encapsulated: "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
    ciphertexts: [
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
        "af2d7e9ac9ae7e270f46ba1f975be53c09f8d875bdc8535458c2494e8a6eab251c03d0c22a56b8ca42c2063b84",
    ],
};

/// The same with AES-256-GCM, which is the suite in use: from test-vectors.json of the CFRG, which RFC 9180 refers to and
/// prints in part.
const AES_256: Vector = Vector {
    private: "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
    public: "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c",
    encapsulated: "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256",
    ciphertexts: [
        "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a",
        "2c43aff25343fdbff864506f0818b9d87df84ea01b1a2144d23b4d40c26bf655fdf197fe40297a8aebeed5cc2d",
    ],
};

const INFO: &[u8] = b"Ode on a Grecian Urn";
const PLAINTEXT: &[u8] = b"Beauty is truth, truth beauty";

fn check(suite: &dyn Hpke, vector: &Vector) {
    let encapsulated = EncapsulatedSecret(hex(vector.encapsulated));
    let private = HpkePrivateKey::from(hex(vector.private));
    let first = suite.open(&encapsulated, INFO, b"Count-0", &hex(vector.ciphertexts[0]), &private);
    assert_eq!(first.expect("the vector opens"), PLAINTEXT);
    let mut opener = suite.setup_opener(&encapsulated, INFO, &private).expect("the vector's keys");
    for (ciphertext, aad) in vector.ciphertexts.iter().zip([b"Count-0", b"Count-1"]) {
        assert_eq!(opener.open(aad, &hex(ciphertext)).expect("the vector opens"), PLAINTEXT);
    }
    assert!(suite.open(&encapsulated, INFO, b"Count-1", &hex(vector.ciphertexts[0]), &private).is_err());
    assert!(suite.open(&encapsulated, b"other", b"Count-0", &hex(vector.ciphertexts[0]), &private).is_err());
    let public = PrivateKey::from_private_key(&X25519, private.secret_bytes()).expect("a key").compute_public_key();
    assert_eq!(public.expect("a key").as_ref(), hex(vector.public));
}

#[test]
fn hpke_opens_the_vectors_of_rfc_9180() {
    check(DH_KEM_X25519_HKDF_SHA256_AES_128, &AES_128);
    check(SUITE, &AES_256);
}

fn key() -> MasterKey {
    MasterKey::generate().expect("a key")
}

#[test]
fn a_key_read_back_from_its_text_is_the_same() {
    let key = key();
    let again = MasterKey::from_text(key.to_text().expose()).expect("its own text");
    assert_eq!(again.public(), key.public());
    let secret = key.wrap_secret("a", b"hello").expect("sealed");
    assert_eq!(again.unwrap_secret("a", &secret).expect("opened")[..], *b"hello");
    assert_eq!(public_from_text(&public_to_text(&key.public())).expect("its own text"), key.public());
}

#[test]
fn a_changed_key_file_is_refused_and_never_shown() {
    let text = key().to_text().expose().clone();
    let other = key().to_text().expose().clone();
    let mixed = format!(
        "{}\n{}\n{}\n",
        text.lines().next().expect("a line"),
        text.lines().nth(1).expect("a line"),
        other.lines().nth(2).expect("a line"),
    );
    let cut = &text[..text.len() - 6];
    for bad in ["", "garbage", cut, &mixed, &format!("{text}x"), &text.replace(" 1\n", " 2\n")] {
        let error = MasterKey::from_text(bad).expect_err(bad).to_string();
        assert!(!error.contains(text.lines().nth(2).expect("a line").trim_start_matches("seed ")), "{error}");
    }
    assert!(public_from_text(&text).is_err());
}

#[test]
fn a_secret_opens_only_whole_and_for_its_own_use() {
    let key = key();
    let sealed = key.wrap_secret("webhook", b"whsec").expect("sealed");
    assert!(matches!(key.unwrap_secret("totp", &sealed), Err(CryptoError::Forged)));
    assert!(matches!(self::key().unwrap_secret("webhook", &sealed), Err(CryptoError::UnknownMasterKey(_))));
    for position in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[position / 8] ^= 1 << (position % 8);
        assert!(key.unwrap_secret("webhook", &changed).is_err(), "bit {position}");
    }
    for end in 0..sealed.len() {
        assert!(key.unwrap_secret("webhook", &sealed[..end]).is_err(), "cut at {end}");
    }
    assert_ne!(sealed, key.wrap_secret("webhook", b"whsec").expect("sealed"), "a fresh nonce each time");
}

#[test]
fn a_public_key_that_is_not_its_ids_is_refused() {
    let mut public = key().public();
    public.x25519[0] ^= 1;
    let wrapped = wrap(&public, KeyId::from_bytes([1; 16]), Timestamp::default(), &[0; 32]);
    assert!(matches!(wrapped, Err(CryptoError::Malformed { .. })));
    public.x25519 = vec![0; 32];
    public.id = id_of(&public.x25519);
    assert!(wrap(&public, KeyId::from_bytes([1; 16]), Timestamp::default(), &[0; 32]).is_err(), "a point of low order");
}

#[test]
fn debug_shows_no_key() {
    let key = key();
    assert_eq!(format!("{key:?}"), format!("MasterKey {{ id: {}, .. }}", key.id()));
}
