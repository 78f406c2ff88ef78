//! The firewall's certificate: taken where its authority is configured, refused where it is not, before anything is sent.

use super::server::{Server, Wrap};
use super::{Place, opens, proposal};
use crate::kernel::in_namespace;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::sync::Arc;

/// A firewall with a certificate of an authority of its own; the authority as PEM.
fn secured() -> (Server, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("an authority");
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().expect("a key");
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned(), "198.18.0.1".to_owned()]).expect("parameters");
    let certificate = names.signed_by(&own, &issuer).expect("a certificate");
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, private).expect("a configuration"));
    let wrap: Wrap = Arc::new(move |stream| {
        let connection = ServerConnection::new(config.clone()).ok()?;
        Some(Box::new(StreamOwned::new(connection, stream)))
    });
    (Server::wrapped(wrap), authority.pem())
}

#[test]
fn a_certificate_is_taken_only_from_the_configured_authority() {
    in_namespace(|_| {
        let (server, authority) = secured();
        let url = format!("https://{}", server.address);
        let check = |place: &Place| place.run("afo-check", &["--backend", "opnsense"], &opens(80));
        let unknown = Place::new(&url, "");
        let ended = check(&unknown);
        assert_eq!(ended.code, Some(3), "{}", ended.err);
        assert!(
            ended.err.contains("its certificate is not trusted") && ended.err.contains("opnsense.ca"),
            "{}",
            ended.err
        );
        assert!(server.lock().seen.is_empty(), "nothing was sent");
        let pem = unknown.path("ca.pem");
        let known = Place::new(&url, &format!("ca = \"{}\"", pem.display()));
        unknown.write("ca.pem", "no certificate");
        let ended = check(&known);
        assert_eq!(ended.code, Some(2));
        assert!(
            ended.err.contains("ca.pem: no certificate can be read: there is no certificate in it"),
            "{}",
            ended.err
        );
        unknown.write("ca.pem", &authority);
        let ended = check(&known);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(!server.lock().seen.is_empty());
    });
}

#[test]
fn a_change_that_would_cut_this_host_off_from_the_api_is_refused() {
    in_namespace(|host| {
        host.sh("ip addr add 198.18.0.1/24 dev lo");
        let (server, authority) = secured();
        let port = server.address.port();
        let place = Place::new(&format!("https://198.18.0.1:{port}"), "");
        place.write("ca.pem", &authority);
        let text = std::fs::read_to_string(place.path("afo.toml")).expect("it is there");
        place.write("afo.toml", &format!("{text}ca = \"{}\"\n", place.path("ca.pem").display()));
        let closes = json!([{"id": "shut", "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": [port.to_string()]}]);
        let ended = place.deploy(&["--confirm=2"], &proposal(&closes));
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        let words = format!("rule shut would drop the way of afo-deploy to the API of OPNsense at 198.18.0.1:{port}");
        assert!(ended.err.contains(&words), "{}", ended.err);
        assert!(server.lock().own().is_empty());
        let other = place.deploy(&["--confirm=1"], &opens(80));
        assert_eq!(other.code, Some(4), "what leaves the way open is done, and lapses: {}", other.err);
        // What lets it through is not taken away either.
        super::deploy::kept(&place, &server, port);
        let words = format!("the way of afo-deploy to the API of OPNsense at 198.18.0.1:{port} would be cut off");
        let remove = json!({"kind": "proposal", "v": 1, "id": "gone", "ts": "2026-01-02T03:04:05Z", "ok": true, "rules": [],
            "changes": [{"op": "remove", "target": format!("r{port}")}], "explanation": "a test"});
        for (arguments, input) in [(&["rollback"][..], String::new()), (&["--confirm=2"], format!("{remove}\n"))] {
            let ended = place.deploy(arguments, &input);
            assert!(ended.code == Some(1) && ended.err.contains(&words), "{:?} {}", ended.code, ended.err);
        }
        assert!(server.lock().loaded.iter().any(|words| words.ends_with(&format!(" r{port}"))));
    });
}
