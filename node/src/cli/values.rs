//! What people type for accounts, times, hashes and files, and how that becomes the arguments of a
//! method.

use std::path::Path;

use chancery_client::KeyStore;
use chancery_genesis::time;
use chancery_ledger::{AccountId, Millis};
use chancery_schema::{
    ArgText, Field, Method, MethodKind, Resolver, Type, encode_args, parse_duration,
};

use super::named_args::{BehindMethod, NamedArg, is_own_option};
use super::{CliError, files};

/// The longest file that is itself an argument (its hash may be of any file).
const FILE_BYTES_MAX: usize = 1_048_576;

/// Knows the named keys and what time it is.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) keys: &'a KeyStore,
    /// What relative times count from: the later of block time and clock.
    pub(super) now: Millis,
}

impl Resolver for Values<'_> {
    fn account(&self, text: &str) -> Result<AccountId, String> {
        if text.starts_with("did:") {
            return text.parse().map_err(|error| format!("{error}"));
        }
        self.keys
            .load(text)
            .map(|key| key.account())
            .map_err(|error| format!("{error}; an account is a key's name or a DID"))
    }

    fn time(&self, text: &str) -> Result<Millis, String> {
        parse_time(text, self.now)
    }

    fn file(&self, path: &str) -> Result<Vec<u8>, String> {
        files::read(Path::new(path), FILE_BYTES_MAX).map_err(|error| error.message)
    }
}

/// An account, where a command itself takes one.
pub(super) fn account(keys: &KeyStore, text: &str) -> Result<AccountId, CliError> {
    let values = Values {
        keys,
        now: Millis(0),
    };
    values
        .account(text)
        .map_err(|reason| CliError::usage(reason).code("account"))
}

/// A moment: RFC 3339 (with `Z` or an offset), relative to now (`+48h`, `-5m`), `now`, or
/// milliseconds since 1970.
pub(super) fn parse_time(text: &str, now: Millis) -> Result<Millis, String> {
    if text == "now" {
        return Ok(now);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text
            .parse()
            .map(Millis)
            .map_err(|_| "more milliseconds than fit 64 bits".to_owned());
    }
    if let Some(duration) = text.strip_prefix(['+', '-']) {
        let duration = parse_duration(duration)
            .ok_or_else(|| "a relative time needs units, like +48h, +90s or +1h30m".to_owned())?;
        let duration = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let moment = if text.starts_with('+') {
            now.0.checked_add(duration)
        } else {
            now.0.checked_sub(duration)
        };
        return moment
            .map(Millis)
            .ok_or_else(|| "that is beyond the times there are".to_owned());
    }
    rfc3339(text).ok_or_else(|| {
        "expected RFC 3339 (2026-01-31T12:00:00Z), relative (+48h, +90s), or milliseconds since 1970"
            .to_owned()
    })
}

fn rfc3339(text: &str) -> Option<Millis> {
    if let Ok(time) = time::parse(text) {
        return Some(time);
    }
    // ±HH:MM at the end.
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |digits: &str, most: u64| {
        let number = digits.parse::<u64>().ok().filter(|number| *number <= most);
        number.filter(|_| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let offset_ms = (number(hours, 23)? * 60 + number(minutes, 59)?) * 60_000;
    let local = time::parse(&format!("{local}Z")).ok()?.0;
    match offset.as_bytes().first()? {
        b'+' => local.checked_sub(offset_ms).map(Millis),
        b'-' => local.checked_add(offset_ms).map(Millis),
        _ => None,
    }
}

/// The arguments that `method` gets: SCALE of what was typed by `--arg` and behind the method.
pub(super) fn encode_arguments(
    method: &Method,
    typed: &[String],
    behind: &[BehindMethod],
    values: &Values<'_>,
) -> Result<Vec<u8>, CliError> {
    let fail = |message: String| {
        CliError::usage(message)
            .code("bad_arguments")
            .hint(format!("usage: {}", signature(method)))
    };
    let texts = texts(method, typed, behind, fail)?;
    encode_args(&method.args, &texts, values).map_err(|error| fail(error.to_string()))
}

fn texts(
    method: &Method,
    typed: &[String],
    behind: &[BehindMethod],
    fail: impl Fn(String) -> CliError,
) -> Result<Vec<ArgText>, CliError> {
    let field_of = |name: &str| {
        let name = name.replace('-', "_");
        method.args.iter().find(|field| field.name == name)
    };
    let mut texts = Vec::new();
    let mut position = 0;
    let mut by_arg = Vec::new();
    for typed in typed {
        let by_name = typed
            .split_once('=')
            .and_then(|(name, text)| Some((field_of(name)?, text)));
        let (field, name, text) = match by_name {
            Some((field, text)) => (Some(field), Some(field.name.clone()), text),
            None => {
                position += 1;
                (method.args.get(position - 1), None, typed.as_str())
            }
        };
        by_arg.extend(field.map(|field| &field.name));
        let text = hash_of_file(field, text)?;
        texts.push(ArgText { name, text });
    }
    for option in behind {
        let NamedArg { name, value } = match option {
            BehindMethod::Argument(argument) => argument,
            BehindMethod::Own(name) => match field_of(name) {
                Some(field) if !by_arg.contains(&&field.name) => {
                    return Err(ambiguous(method, name, field));
                }
                _ => continue,
            },
        };
        let field = field_of(name).ok_or_else(|| {
            let error = fail(format!("{} has no argument --{name}", method.name));
            match &error.hint {
                Some(usage) if name == "help" => {
                    let hint = format!("{usage}; -h lists the command's own options");
                    error.hint(hint)
                }
                _ => error,
            }
        })?;
        let text = match value {
            Some(value) => value.as_str(),
            None if field.kind == Type::Bool => "true",
            None => {
                return Err(fail(format!("--{name} needs a value ({})", field.kind)));
            }
        };
        texts.push(ArgText {
            name: Some(field.name.clone()),
            text: hash_of_file(Some(field), text)?,
        });
    }
    Ok(texts)
}

/// An option of the command that has the name of an argument which was not given otherwise.
fn ambiguous(method: &Method, option: &str, field: &Field) -> CliError {
    let place = match method.kind {
        MethodKind::Init | MethodKind::Migrate => "the module's file",
        MethodKind::Call | MethodKind::View => "the method's name",
    };
    let (method, name) = (&method.name, &field.name);
    CliError::usage(format!(
        "--{option} could be the command's own option or the argument {name} of {method}"
    ))
    .code("ambiguous_option")
    .hint(format!(
        "the argument is --arg {name}=VALUE; the option stands before {place}, or anywhere if the argument is given by --arg"
    ))
}

/// Puts the hash of a file of any length where a hash is wanted and `@FILE` was typed.
fn hash_of_file(field: Option<&Field>, text: &str) -> Result<String, CliError> {
    let wanted = field.is_some_and(|field| match &field.kind {
        Type::Option(inner) => **inner == Type::Hash,
        kind => *kind == Type::Hash,
    });
    match text.strip_prefix('@').filter(|_| wanted) {
        Some(path) => files::sha256(Path::new(path)).map(|hash| hash.to_string()),
        None => Ok(text.to_owned()),
    }
}

/// How a method is called: `grant_access --recipient ACCOUNT --expires-at TIME`; an argument that has
/// the name of an option of the command as `--arg timeout=TIME`.
pub(super) fn signature(method: &Method) -> String {
    let mut text = match method.kind {
        MethodKind::Init => "init".to_owned(),
        MethodKind::Migrate => "migrate".to_owned(),
        MethodKind::Call | MethodKind::View => method.name.clone(),
    };
    for Field { name, kind } in &method.args {
        let option = name.replace('_', "-");
        let shown = |kind| {
            let kind = kind_name(kind);
            if is_own_option(method.kind, &option) {
                format!("--arg {name}={kind}")
            } else {
                format!("--{option} {kind}")
            }
        };
        match kind {
            Type::Option(inner) => text.push_str(&format!(" [{}]", shown(inner))),
            kind => text.push_str(&format!(" {}", shown(kind))),
        }
    }
    text
}

fn kind_name(kind: &Type) -> String {
    match kind {
        // What can be typed, where that is one of a few words.
        Type::Enum(variants) if variants.iter().all(|v| v.fields.is_empty()) => {
            let names: Vec<&str> = variants.iter().map(|v| v.name.as_str()).collect();
            names.join("|")
        }
        kind => kind.to_string().to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;

    const NOW: Millis = Millis(1_769_860_800_000);

    #[test]
    fn times_are_absolute_relative_or_numbers() {
        for (text, expected) in [
            ("2026-01-31T12:00:00Z", Some(NOW.0)),
            ("2026-01-31T12:00:00.250Z", Some(NOW.0 + 250)),
            ("2026-01-31T14:00:00+02:00", Some(NOW.0)),
            ("2026-01-31T08:30:00-03:30", Some(NOW.0)),
            ("+48h", Some(NOW.0 + 48 * 3_600_000)),
            ("+90s", Some(NOW.0 + 90_000)),
            ("+1h30m", Some(NOW.0 + 5_400_000)),
            ("-1s", Some(NOW.0 - 1_000)),
            ("now", Some(NOW.0)),
            ("12", Some(12)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("+18446744073709551615ms", None),
            ("-100000days", None),
            ("+48", None),
            ("+", None),
            ("", None),
            ("tomorrow", None),
            ("2026-01-31", None),
            ("2026-01-31T12:00:00", None),
            ("2026-01-31T12:00:00+2:00", None),
            ("2026-01-31T12:00:00+24:00", None),
            ("2026-02-30T12:00:00Z", None),
            ("äöü€", None),
        ] {
            let got = parse_time(text, NOW).ok().map(|time| time.0);
            assert_eq!(got, expected, "{text}");
        }
    }

    fn method() -> Method {
        serde_json::from_str(
            r#"{"name": "grant_access", "kind": "call", "args": [
                {"name": "recipient", "type": "account"},
                {"name": "expires_at", "type": "time"},
                {"name": "record", "type": "option<hash>"},
                {"name": "audit", "type": "option<bool>"},
                {"name": "how", "type": "option<enum {0 read_only, 1 full}>"}
            ]}"#,
        )
        .expect("a method")
    }

    fn named(name: &str, value: &str) -> NamedArg {
        NamedArg {
            name: name.to_owned(),
            value: Some(value.to_owned()),
        }
    }

    fn check(positions: &[&str], named: &[NamedArg], expected: Result<usize, &str>) {
        let behind: Vec<BehindMethod> = named.iter().cloned().map(BehindMethod::Argument).collect();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let keys = KeyStore::new(directory.path());
        keys.create("specialist").expect("a key");
        let values = Values {
            keys: &keys,
            now: NOW,
        };
        let positions: Vec<String> = positions.iter().map(|&text| text.to_owned()).collect();
        let got = encode_arguments(&method(), &positions, &behind, &values);
        match (got, expected) {
            (Ok(bytes), Ok(len)) => assert_eq!(bytes.len(), len),
            (Err(error), Err(part)) => assert!(error.message.contains(part), "{error:?}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn arguments_come_by_position_by_option_and_by_assignment() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let time = "+48h";
        check(&[did, time], &[], Ok(43));
        check(&[did, time, "how=read-only"], &[], Ok(44));
        check(&["specialist", time], &[], Ok(43));
        check(&["expires_at=+1h", "recipient=specialist"], &[], Ok(43));
        check(&["expires-at=+1h", did], &[], Ok(43));
        check(&[did], &[named("expires-at", time)], Ok(43));
        check(
            &[],
            &[
                named("recipient", did),
                named("expires-at", time),
                named("record", &"ab".repeat(32)),
            ],
            Ok(75),
        );
    }

    #[test]
    fn wrong_arguments_are_named_with_the_method_s_usage() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        check(&[did], &[], Err("expires_at"));
        check(
            &[did, "+48h"],
            &[named("until", "x")],
            Err("no argument --until"),
        );
        check(&["nobody", "+48h"], &[], Err("no key named"));
        check(&[did, "soon"], &[], Err("RFC 3339"));
        check(&[did, "+48h", "@/nowhere/x"], &[], Err("/nowhere/x"));
        let bare = NamedArg {
            name: "recipient".to_owned(),
            value: None,
        };
        check(&[], &[bare], Err("needs a value"));
        assert_eq!(
            signature(&method()),
            "grant_access --recipient ACCOUNT --expires-at TIME [--record HASH] [--audit BOOL] \
             [--how read_only|full]"
        );
    }

    #[test]
    fn an_own_option_that_could_be_an_argument_is_never_guessed_at() {
        let method: Method = serde_json::from_str(
            r#"{"name": "wait", "kind": "call", "args": [
                {"name": "who", "type": "u8"},
                {"name": "timeout", "type": "option<time>"},
                {"name": "version", "type": "option<u32>"}
            ]}"#,
        )
        .expect("a method");
        assert_eq!(
            signature(&method),
            "wait --who U8 [--arg timeout=TIME] [--version U32]"
        );
        let directory = tempfile::tempdir().expect("a temporary directory");
        let keys = KeyStore::new(directory.path());
        let encode = |typed: &[&str], own: &[&str]| {
            let typed: Vec<String> = typed.iter().map(|&text| text.to_owned()).collect();
            let own = own.iter().map(|&name| BehindMethod::Own(name.to_owned()));
            let version = BehindMethod::Argument(named("version", "3"));
            let behind: Vec<BehindMethod> = own.chain([version]).collect();
            let values = Values {
                keys: &keys,
                now: NOW,
            };
            encode_arguments(&method, &typed, &behind, &values)
        };
        let without = vec![7, 0, 1, 3, 0, 0, 0];
        let with = [&[7, 1][..], &9_u64.to_le_bytes(), &[1, 3, 0, 0, 0]].concat();
        assert_eq!(encode(&["7"], &["arg", "from"]), Ok(without.clone()));
        assert_eq!(encode(&["7", "timeout=9"], &["timeout"]), Ok(with.clone()));
        assert_eq!(encode(&["7", "9"], &["timeout"]), Ok(with));
        assert_eq!(encode(&["7", "timeout=none"], &["timeout"]), Ok(without));
        let error = encode(&["7"], &["timeout"]).expect_err("could be either");
        assert_eq!(
            (error.exit, error.code.as_str()),
            (Exit::Usage, "ambiguous_option")
        );
        let hint = error.hint.unwrap_or_default();
        assert!(
            hint.starts_with("the argument is --arg timeout=VALUE"),
            "{hint}"
        );
        assert!(hint.contains("before the method's name"), "{hint}");
    }
}
