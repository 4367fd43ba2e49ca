//! Tests of the configuration: URLs, files, environment variables, secrets and checks.

use super::*;

fn variables<const N: usize>(variables: [(&str, &str); N]) -> Vec<(OsString, OsString)> {
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn config() -> KafkaConfig {
    KafkaConfig::new("127.0.0.1:9092")
}

/// Creates a temporary file with this text.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn a_cluster_is_named_by_its_brokers() {
    for list in ["127.0.0.1:9092", "one:9092,two:9093", "[::1]:9092"] {
        assert_eq!(KafkaConfig::from_url(&format!("kafka://{list}")).unwrap().brokers, list);
    }
}

#[test]
fn a_cluster_that_is_not_named_so_is_refused_with_what_to_write() {
    for (url, words) in [
        ("127.0.0.1:9092", "not the URL of a Kafka cluster"),
        ("kafka://", "has no valid host"),
        ("kafka://one:9092,", "has no valid host"),
        ("kafka://one", "has no port"),
        ("kafka://one:0", "from 1 to 65535"),
        ("kafka://one:66000", "`one:66000`"),
        ("kafka://[::1:9092", "`]`"),
        ("kafka://one:9092/topic", "`/topic`"),
        ("kafka://one:9092?acks=1", "`?acks=1`"),
    ] {
        let error = KafkaConfig::from_url(url).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("kafka://HOST:PORT"), "{url}: {error}");
    }
    let error = KafkaConfig::from_url("kafka://ada:sesame@one:9092").unwrap_err().to_string();
    assert!(!error.contains("sesame") && error.contains("sasl.password"), "{error}");
}

#[test]
fn a_file_of_settings_has_a_line_for_each() {
    let file = file("# the cluster\n\nkafka.compression.type = lz4\nsasl.password=a=b#c\n");
    let config = config().read_file(file.path()).unwrap();
    assert_eq!(config.settings["compression.type"], "lz4");
    assert_eq!(config.settings["sasl.password"], "a=b#c");
}

#[test]
fn a_line_that_is_no_setting_is_named() {
    for (text, line, words) in [
        ("linger.ms=5\nacks\n", 2, "NAME=VALUE"),
        ("=5\n", 1, "needs a name"),
        ("\n\ngroup.id=mine\n", 3, "the group has the app's name"),
        ("acks=all\nlinger.ms=5\nkafka.acks=1\n", 3, "line 1 already"),
    ] {
        let file = file(text);
        let error = config().read_file(file.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{}, line {line}: ", file.path().display())), "{error}");
        assert!(error.contains(words), "{error}");
    }
    let error = config().read_file(Path::new("/no/such/file")).unwrap_err().to_string();
    assert!(error.contains("/no/such/file"), "{error}");
}

#[test]
fn variables_are_settings_with_dots() {
    let set = [("MARLOWE_KAFKA_SASL_PASSWORD", "sesame"), ("MARLOWE_KAFKA_CONFIG", "a file"), ("OTHER", "thing")];
    let config = config().read_variables(variables(set)).unwrap();
    assert_eq!(config.settings, BTreeMap::from([("sasl.password".into(), "sesame".into())]));
    let error = config.read_variables(variables([("MARLOWE_KAFKA_GROUP_ID", "mine")])).unwrap_err().to_string();
    assert!(error.contains("MARLOWE_KAFKA_GROUP_ID") && error.contains("`group.id`"), "{error}");
}

#[test]
fn what_is_set_later_wins() {
    let file = file("acks=1\nlinger.ms=1\nretries=1\n");
    let config = config()
        .set("acks", "0")
        .read_file(file.path())
        .and_then(|config| {
            config.read_variables(variables([("MARLOWE_KAFKA_LINGER_MS", "2"), ("MARLOWE_KAFKA_RETRIES", "2")]))
        })
        .unwrap()
        .with(["retries=3".parse().unwrap()]);
    let settings = ["acks", "linger.ms", "retries"].map(|name| config.settings[name].as_str());
    assert_eq!(settings, ["1", "2", "3"]);
}

#[test]
fn secrets_are_never_shown() {
    let secrets = [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.pem",
    ];
    for name in secrets {
        let setting: KafkaSetting = format!("{name}=sesame").parse().unwrap();
        let config = config().with([setting.clone()]);
        let shown = format!("{setting:?} {config:?} {}", config.redacted("the broker says: sesame is wrong"));
        assert!(!shown.contains("sesame") && shown.contains(name), "{shown}");
        if let Err(error) = config.check() {
            assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
        }
    }
    // A text in the wrong form may be a secret too.
    assert!(!"sesame".parse::<KafkaSetting>().unwrap_err().to_string().contains("sesame"));
}

#[test]
fn what_librdkafka_does_not_take_is_named() {
    config().set("compression.type", "lz4").set("acks", "all").check().unwrap();
    for (name, value, words) in [
        ("compresion.type", "lz4", "No such configuration property"),
        ("compression.type", "brotli", "brotli"),
        ("linger.ms", "soon", "linger.ms"),
        ("bootstrap.servers", "one:9092", "kafka://HOST:PORT"),
    ] {
        let error = config().set(name, value).check().unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")) && error.contains(words), "{error}");
    }
}

#[cfg(not(feature = "ssl"))]
#[test]
fn a_setting_of_a_missing_feature_names_the_feature() {
    for (name, value, feature) in [
        ("security.protocol", "SASL_SSL", "kafka-ssl"),
        ("security.protocol", "SASL_PLAINTEXT", "kafka-gssapi"),
        ("ssl.ca.location", "/ca.pem", "kafka-ssl"),
        ("sasl.mechanism", "SCRAM-SHA-512", "kafka-ssl"),
        ("sasl.mechanisms", "GSSAPI", "kafka-gssapi"),
        ("sasl.oauthbearer.method", "oidc", "kafka-oidc"),
    ] {
        let error = config().set(name, value).check().unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")) && error.contains(feature), "{error}");
    }
    config().set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanism", "PLAIN").check().unwrap();
}

#[test]
fn n3_4_numbers_and_times_that_cannot_be_meant_are_refused() {
    for wrong in [
        config().patience(Duration::MAX),
        config().patience(Duration::from_secs(7 * 24 * 60 * 60)),
        config().replicas(0),
        config().replicas(u16::MAX),
    ] {
        let refused = wrong.check().err().unwrap_or_else(|| panic!("{wrong:?} is taken"));
        assert!(matches!(&refused, KafkaConfigError::OutOfBounds { .. }), "{refused}");
        assert!(refused.to_string().contains("use at"), "{refused}");
    }
    assert!(config().patience(Duration::ZERO).replicas(3).check().is_ok());
}
