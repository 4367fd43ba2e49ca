//! Certificates for tests, in files of a folder of their own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority that signs certificates.
pub(crate) struct Authority {
    folder: TempDir,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in files.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let (params, key) = (authority("somebody who signs"), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        let this = Self { folder: tempfile::tempdir().unwrap(), certificate, issuer: Issuer::new(params, key) };
        std::fs::write(this.path(), this.certificate.pem()).unwrap();
        this
    }

    /// Returns the path of the file with the authority's own certificate.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Signs a certificate for `host`, and writes it and its key to files named `file`.
    pub(crate) fn issue(&self, file: &str, host: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([host.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        self.write(file, &certificate, &key)
    }

    /// Makes a self-signed certificate, as the first line of most guides does. So it is marked as
    /// an authority's certificate.
    pub(crate) fn self_signed(&self, file: &str, host: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = authority(host).self_signed(&key).unwrap();
        self.write(file, &certificate, &key)
    }

    fn write(&self, file: &str, certificate: &Certificate, key: &KeyPair) -> Issued {
        let at = |ending: &str| self.folder.path().join(format!("{file}.{ending}"));
        let issued = Issued { certificate: at("pem"), key: at("key") };
        std::fs::write(&issued.certificate, certificate.pem()).unwrap();
        std::fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.replace(' ', "-")]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}
