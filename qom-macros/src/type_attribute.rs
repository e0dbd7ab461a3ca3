//! What `#[qom_type(…)]` and `#[qom_interface(…)]` may say, read and checked key by key.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream};
use syn::{LitStr, Path, ext::IdentExt};

use crate::{
    arguments::{self, Argument, Form},
    category,
    mistakes::Mistakes,
    suggestion,
};

/// The kind of item that an attribute stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Struct,
    Class,
    Interface,
}

impl Subject {
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Struct => &[
                "secure",
                "insecure",
                "reason",
                "name",
                "parent",
                "interfaces",
                "boundary",
                "category",
                "deprecated",
                "unstable",
                "children",
                "class_data",
                "crate",
            ],
            Self::Class => &[
                "abstract",
                "secure",
                "insecure",
                "reason",
                "name",
                "parent",
                "interfaces",
                "boundary",
                "category",
                "new_category",
                "deprecated",
                "unstable",
                "class_data",
                "crate",
            ],
            Self::Interface => &[
                "secure",
                "insecure",
                "reason",
                "name",
                "boundary",
                "deprecated",
                "unstable",
                "crate",
            ],
        }
    }

    /// Why a key of another kind of item has no place here, and what to do instead.
    fn misplaced(self, key: &str) -> Option<String> {
        Some(match (self, key) {
            (_, "description") => {
                "the description is the first line of the doc comment: write a `///` line"
                    .to_owned()
            }
            (Self::Struct, "abstract") => "a struct is a concrete type: leave out `abstract`, or \
                 make the abstract class a trait"
                .to_owned(),
            (Self::Struct, "new_category") => "a class introduces a category, which its \
                 descendants inherit: write `new_category` on the trait, or `category` here"
                .to_owned(),
            (Self::Class, "children") => "nothing is made of an abstract class: write `children` \
                 on the structs that descend from it"
                .to_owned(),
            (Self::Interface, key)
                if Self::Struct.keys().contains(&key) || Self::Class.keys().contains(&key) =>
            {
                format!(
                    "an interface has no `{key}`: leave it out, or write `#[qom_type(abstract, …)]`"
                )
            }
            _ => return None,
        })
    }
}

/// The statement on a type's security.
#[derive(Debug, Default)]
pub(crate) enum Status {
    Secure,
    Insecure(LitStr),
    #[default]
    Undeclared,
}

/// Words of `boundary(…)`, and the variants of `Boundary` that they stand for.
const BOUNDARIES: [(&str, &str); 6] = [
    ("guest", "Guest"),
    ("file", "File"),
    ("network", "Network"),
    ("client", "Client"),
    ("passthrough", "Passthrough"),
    ("management", "Management"),
];

/// Everything that the attribute of a type says.
#[derive(Debug, Default)]
pub(crate) struct TypeAttribute {
    /// The key `abstract`, if it is there.
    pub(crate) is_abstract: bool,
    pub(crate) name: Option<LitStr>,
    pub(crate) parent: Option<Path>,
    pub(crate) interfaces: Vec<Path>,
    pub(crate) status: Status,
    /// Variants of `Boundary`, each at its word.
    pub(crate) boundaries: Vec<Ident>,
    pub(crate) category: Option<LitStr>,
    pub(crate) deprecated: Option<LitStr>,
    pub(crate) unstable: bool,
    pub(crate) children: Option<Path>,
    pub(crate) class_data: Vec<Path>,
    /// Where qom-core is, if not found through the manifest.
    pub(crate) base: Option<Path>,
    /// Whether a parent was written at all, be it one that can't be read.
    parent_written: bool,
    category_written: bool,
}

impl TypeAttribute {
    /// Reads the attribute of the item called `ident`.
    pub(crate) fn read(
        tokens: TokenStream,
        subject: Subject,
        ident: &Ident,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut read = Self::default();
        let mut statements = Statements::default();
        let mut seen = HashSet::new();
        for argument in arguments::parse(tokens, mistakes) {
            let key = argument.key.unraw().to_string();
            if !subject.keys().contains(&key.as_str()) {
                let message = subject.misplaced(&key).unwrap_or_else(|| {
                    let instead = suggestion::instead(&key, subject.keys());
                    format!("there is no key `{key}` here: {instead}")
                });
                mistakes.at(&argument.key, message);
            } else if !seen.insert(key.clone()) {
                mistakes.at(&argument.key, format!("`{key}` is written twice: leave one out"));
            } else {
                read.take(&key, argument, &mut statements, mistakes);
            }
        }
        read.status = statements.judge(mistakes);
        if subject != Subject::Interface && !read.parent_written {
            mistakes.at(
                ident,
                format!(
                    "`{ident}` lacks its class: write `parent = …` with the trait that it descends \
                     from, `parent = Object` if there is none closer"
                ),
            );
        }
        read
    }

    fn take(
        &mut self,
        key: &str,
        argument: Argument,
        statements: &mut Statements,
        mistakes: &mut Mistakes,
    ) {
        match key {
            "secure" => {
                argument.expect_word("secure", mistakes);
                statements.secure = Some(argument.key);
            }
            "insecure" => {
                argument.expect_word("insecure, reason = \"…\"", mistakes);
                statements.explained = !matches!(argument.form, Form::Word);
                statements.insecure = Some(argument.key);
            }
            "reason" => {
                statements.reason = Some((argument.key.clone(), argument.string(mistakes)));
            }
            "abstract" => {
                argument.expect_word("abstract", mistakes);
                self.is_abstract = true;
            }
            "unstable" => {
                argument.expect_word("unstable", mistakes);
                self.unstable = true;
            }
            "name" => self.name = argument.string(mistakes),
            "category" | "new_category" => {
                if self.category_written {
                    mistakes.at(
                        &argument.key,
                        "a category is known or new, and one only: leave `category` or \
                         `new_category` out",
                    );
                }
                self.category_written = true;
                self.category = argument.string(mistakes);
                if let Some(heading) = &self.category {
                    match key {
                        "category" => category::check_known(heading, mistakes),
                        _ => category::check_new(heading, mistakes),
                    }
                }
            }
            "deprecated" => self.deprecated = argument.string(mistakes),
            "parent" => {
                self.parent_written = true;
                self.parent = argument.path("parent = Trait", mistakes);
            }
            "interfaces" => self.interfaces = interfaces(&argument, mistakes),
            "boundary" => self.boundaries = boundaries(&argument, mistakes),
            "children" => {
                self.children = argument.path("children = path::to::function", mistakes);
            }
            "class_data" => {
                self.class_data = class_data(&argument, mistakes);
            }
            // The keys of every subject are all above but this one.
            _ => self.base = argument.path("crate = path::to::qom_core", mistakes),
        }
    }
}

/// The three keys that together make one statement.
#[derive(Default)]
struct Statements {
    secure: Option<Ident>,
    insecure: Option<Ident>,
    /// Whether `insecure` was written in a wrong way, which is a mistake that names the reason too.
    explained: bool,
    /// The key, and its text unless it was written in a wrong way.
    reason: Option<(Ident, Option<LitStr>)>,
}

impl Statements {
    fn judge(self, mistakes: &mut Mistakes) -> Status {
        if let (Some(_), Some(insecure)) = (&self.secure, &self.insecure) {
            mistakes.at(
                insecure,
                "a type is `secure` or `insecure`, not both: keep the one that is true",
            );
        }
        match (self.insecure, self.reason) {
            (Some(_), Some((_, Some(reason)))) => return Status::Insecure(reason),
            (Some(insecure), None) if !self.explained => mistakes.at(
                insecure,
                "`insecure` lacks its reason, which users read when their configuration is \
                 refused: write `insecure, reason = \"…\"`",
            ),
            (None, Some((key, _))) => mistakes.at(
                key,
                "a reason belongs to `insecure`: write `insecure, reason = \"…\"`, or leave it out",
            ),
            (Some(_), _) | (None, None) => {}
        }
        if self.secure.is_some() { Status::Secure } else { Status::Undeclared }
    }
}

fn interfaces(argument: &Argument, mistakes: &mut Mistakes) -> Vec<Path> {
    let Some(tokens) = argument.list("interfaces(Trait, …)", mistakes) else {
        return Vec::new();
    };
    distinct_paths(tokens, "this interface is written twice: leave one out", mistakes)
}

/// One static, or several between parentheses.
fn class_data(argument: &Argument, mistakes: &mut Mistakes) -> Vec<Path> {
    match argument.form_list() {
        Some(tokens) => {
            distinct_paths(tokens, "this static is written twice: leave one out", mistakes)
        }
        None => argument.path("class_data = PATH_TO_STATIC", mistakes).into_iter().collect(),
    }
}

fn distinct_paths(tokens: TokenStream, twice: &str, mistakes: &mut Mistakes) -> Vec<Path> {
    let mut all: Vec<Path> = Vec::new();
    for path in arguments::items(tokens, mistakes, |input, _| input.call(Path::parse_mod_style)) {
        if all.contains(&path) {
            mistakes.at(path, twice);
        } else {
            all.push(path);
        }
    }
    all
}

fn boundaries(argument: &Argument, mistakes: &mut Mistakes) -> Vec<Ident> {
    let Some(tokens) = argument.list("boundary(guest, …)", mistakes) else {
        return Vec::new();
    };
    if tokens.is_empty() {
        argument.wrong_form("boundary(guest, …)", mistakes);
    }
    let words = arguments::items(tokens, mistakes, |input, _| input.call(Ident::parse_any));
    let mut all: Vec<Ident> = Vec::new();
    for word in words {
        let name = word.to_string();
        let Some((_, variant)) = BOUNDARIES.iter().find(|(known, _)| *known == name) else {
            let known = BOUNDARIES.map(|(known, _)| known);
            let instead = suggestion::instead(&name, &known);
            mistakes.at(&word, format!("there is no boundary `{name}`: {instead}"));
            continue;
        };
        let variant = Ident::new(variant, word.span());
        if all.contains(&variant) {
            mistakes.at(&word, format!("the boundary `{name}` is written twice: leave one out"));
        } else {
            all.push(variant);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;
    use quote::quote;

    use super::*;

    fn read(subject: Subject, tokens: TokenStream) -> (TypeAttribute, String) {
        let mut mistakes = Mistakes::default();
        let ident = Ident::new("Serial", Span::call_site());
        let attribute = TypeAttribute::read(tokens, subject, &ident, &mut mistakes);
        (attribute, mistakes.to_compile_errors().to_string())
    }

    #[test]
    fn every_key_is_taken() {
        let (attribute, errors) = read(
            Subject::Struct,
            quote! {
                insecure, reason = "old", name = "isa-serial", parent = model::IsaDevice,
                interfaces(Hotplug, Reset), boundary(guest, file),
                category = "Input devices", deprecated = "use uart", unstable, children = Self::children,
                class_data = FACTS, crate = model::qom_core
            },
        );
        assert_eq!(errors, "");
        assert!(matches!(attribute.status, Status::Insecure(reason) if reason.value() == "old"));
        assert_eq!(attribute.interfaces.len(), 2);
        assert_eq!(attribute.boundaries, ["Guest", "File"]);
        assert!(attribute.unstable && attribute.children.is_some() && attribute.base.is_some());
    }

    #[test]
    fn no_statement_is_no_status() {
        let (attribute, errors) = read(Subject::Struct, quote!(parent = Object));
        assert_eq!(errors, "");
        assert!(matches!(attribute.status, Status::Undeclared));
    }

    #[test]
    fn a_parent_that_cannot_be_read_is_not_missing_as_well() {
        let (_, errors) = read(Subject::Struct, quote!(parent = "device"));
        assert_eq!(errors.matches("compile_error").count(), 1, "{errors}");
    }

    #[test]
    fn a_class_can_introduce_a_category_and_nobody_can_misspell_one() {
        for (subject, tokens, mistakes) in [
            (Subject::Class, quote!(new_category = "GPU devices"), 0),
            (Subject::Class, quote!(category = "GPU devices"), 1),
            (Subject::Class, quote!(new_category = "CPU devices"), 1),
            (Subject::Class, quote!(category = "CPU devices", new_category = "Oddities"), 1),
            (Subject::Struct, quote!(category = "CPU devices"), 0),
            (Subject::Struct, quote!(category = "cpu devices"), 1),
            (Subject::Struct, quote!(new_category = "Oddities"), 1),
            (Subject::Interface, quote!(new_category = "Oddities"), 1),
        ] {
            let parent =
                if subject == Subject::Interface { quote!() } else { quote!(, parent = A) };
            let (_, errors) = read(subject, quote!(#tokens #parent));
            assert_eq!(errors.matches("compile_error").count(), mistakes, "{tokens}: {errors}");
        }
    }

    #[test]
    fn each_subject_takes_its_own_keys_only() {
        for (subject, tokens) in [
            (Subject::Struct, quote!(parent = Object, abstract)),
            (Subject::Class, quote!(abstract, parent = Object, children = f)),
            (Subject::Interface, quote!(parent = Object)),
            (Subject::Interface, quote!(category = "Input")),
        ] {
            let (_, errors) = read(subject, tokens);
            assert_eq!(errors.matches("compile_error").count(), 1, "{errors}");
        }
    }
}
