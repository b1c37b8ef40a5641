//! What a project may be called.

use std::fmt;
use std::str::FromStr;

use crate::sources::CRATES;

/// The longest name.
const NAME_BYTES_MAX: usize = 48;

/// Words that cargo or the language refuses as the name of a library.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// What the first contract of a project and its tests name already, and what Rust names everywhere.
const TAKEN_TYPES: &[&str] = &[
    "AccessEntry",
    "AccessIndex",
    "AccountId",
    "AlreadyOver",
    "AsMut",
    "AsRef",
    "Clone",
    "Copy",
    "Debug",
    "Decision",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Env",
    "Eq",
    "Err",
    "Error",
    "ExactSizeIterator",
    "Extend",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Grant",
    "Granted",
    "HOUR",
    "Hash",
    "Into",
    "IntoIterator",
    "Item",
    "Iterator",
    "Map",
    "Millis",
    "None",
    "NotAName",
    "NotGranted",
    "NotOwner",
    "OWNER",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "RECORD",
    "Result",
    "Revoked",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "TestEnv",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
];

/// The name of a project: a package of cargo's, and a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectName(String);

/// Why a name cannot be that of a project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing.
    #[error("the name is empty")]
    Empty,
    /// Too long.
    #[error("the name has {len} bytes, at most {len_max} are allowed")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        len_max: usize,
    },
    /// It begins with a digit, or a sign.
    #[error("the name {name:?} begins with {first:?}, not with a letter from a to z")]
    First {
        /// The name.
        name: String,
        /// What it begins with.
        first: char,
    },
    /// Another sign.
    #[error("the name {name:?} contains {sign:?}: only a to z, 0 to 9, '-' and '_' are allowed")]
    Sign {
        /// The name.
        name: String,
        /// The sign.
        sign: char,
    },
    /// A word of the language, or of cargo.
    #[error("{name:?} is a word that Rust keeps for itself")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A package that every contract depends on.
    #[error("{name:?} is a package that every contract depends on")]
    Dependency {
        /// The name.
        name: String,
    },
}

impl FromStr for ProjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (len, len_max) = (text.len(), NAME_BYTES_MAX);
        if len > len_max {
            return Err(NameError::TooLong { len, len_max });
        }
        let name = text.to_owned();
        let first = text.chars().next().ok_or(NameError::Empty)?;
        let plain = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(*c);
        if let Some(sign) = text.chars().find(|c| !plain(c)) {
            return Err(NameError::Sign { name, sign });
        }
        if !first.is_ascii_lowercase() {
            return Err(NameError::First { name, first });
        }
        let dashed = text.replace('_', "-");
        if RESERVED.contains(&dashed.as_str()) {
            return Err(NameError::Reserved { name });
        }
        let mut packages = CRATES.iter().map(|package| package.name.replace('_', "-"));
        if dashed.starts_with("chancery-contract") || packages.any(|package| package == dashed) {
            return Err(NameError::Dependency { name });
        }
        Ok(Self(name))
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ProjectName {
    /// The name of its library, and of its module's file.
    #[must_use]
    pub fn library(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The name of its contract's type.
    #[must_use]
    pub fn type_name(&self) -> String {
        let words = self.0.split(['-', '_']);
        let mut name: String = words
            .map(|word| match word.split_at_checked(1) {
                Some((first, rest)) => first.to_ascii_uppercase() + rest,
                None => String::new(),
            })
            .collect();
        if TAKEN_TYPES.contains(&name.as_str()) {
            name.push_str("Contract");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        let name = text.parse::<ProjectName>();
        let got = name
            .as_ref()
            .map(|name| (name.library(), name.type_name()))
            .map_err(ToString::to_string);
        let expected = expected
            .map(|(library, kind)| (library.to_owned(), kind.to_owned()))
            .map_err(str::to_owned);
        assert_eq!(got, expected);
    }

    #[test]
    fn a_name_makes_a_package_a_library_and_a_type() {
        check("access", Ok(("access", "Access")));
        check("data-access_2", Ok(("data_access_2", "DataAccess2")));
        check("a--b", Ok(("a__b", "AB")));
        check("env", Ok(("env", "EnvContract")));
        check("grant", Ok(("grant", "GrantContract")));
    }

    /// The names in Rust code that begin with a capital letter, comments and texts left out.
    fn capitalised(code: &str) -> Vec<&str> {
        let lines = code.lines().filter_map(|line| line.split("//").next());
        let outside_of_texts = lines.flat_map(|line| line.split('"').step_by(2));
        outside_of_texts
            .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
            .filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
            .collect()
    }

    #[test]
    fn the_type_s_name_is_no_other_in_the_template() {
        let template = [
            include_str!("../template/src/lib.rs"),
            include_str!("../template/tests/rules.rs"),
        ];
        let taken: Vec<&str> = template.into_iter().flat_map(capitalised).collect();
        assert!(taken.contains(&"Grant") && taken.contains(&"TestEnv"));
        // `Self` is a word of the language; the last is the type itself.
        let others = taken
            .iter()
            .filter(|name| !["Self", "ContractName"].contains(name));
        for name in others.chain(TAKEN_TYPES) {
            // `NotOwner` is the type of `not-owner`, `OWNER` that of `o-w-n-e-r`.
            let dashed: String = name
                .chars()
                .flat_map(|c| [c.is_ascii_uppercase().then_some('-'), Some(c)])
                .flatten()
                .collect();
            let project = dashed.trim_start_matches('-').to_lowercase();
            let project: ProjectName = project.parse().expect("is a name");
            assert_eq!(project.type_name(), format!("{name}Contract"));
        }
    }

    #[test]
    fn each_refusal_says_what_is_wrong() {
        check("", Err("the name is empty"));
        let long = "a".repeat(49);
        check(&long, Err("the name has 49 bytes, at most 48 are allowed"));
        check(
            "2fast",
            Err("the name \"2fast\" begins with '2', not with a letter from a to z"),
        );
        check(
            "-x",
            Err("the name \"-x\" begins with '-', not with a letter from a to z"),
        );
        let sign = "the name \"../up\" contains '.': only a to z, 0 to 9, '-' and '_' are allowed";
        check("../up", Err(sign));
        let sign = "the name \"Ärzte\" contains 'Ä': only a to z, 0 to 9, '-' and '_' are allowed";
        check("Ärzte", Err(sign));
        check(
            "proc_macro",
            Err("\"proc_macro\" is a word that Rust keeps for itself"),
        );
        for name in ["syn", "parity_scale_codec", "chancery-contract", "serde"] {
            let error = name.parse::<ProjectName>();
            assert!(matches!(error, Err(NameError::Dependency { .. })), "{name}");
        }
    }
}
