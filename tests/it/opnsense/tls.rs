//! The firewall's certificate: taken where its authority is configured, refused where it is not, before anything is sent.

use super::server::{Server, Wrap};
use super::{Place, opens};
use crate::kernel::in_namespace;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::sync::Arc;

/// A firewall with a certificate of an authority of its own; the authority as PEM.
fn secured() -> (Server, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("an authority");
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().expect("a key");
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
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
