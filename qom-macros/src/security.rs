//! Security statements of a property: which of its values are insecure, and why.

use proc_macro2::{Ident, TokenStream};
use syn::{Expr, LitStr, Path, Token, ext::IdentExt, parse::ParseStream};

use crate::{
    arguments::{self, Argument, Form},
    mistakes::Mistakes,
    suggestion,
};

/// Which values a statement is about.
#[derive(Debug)]
pub(crate) enum Condition {
    NotDefault,
    Values(Vec<Expr>),
    When(Path),
}

/// One statement with its reason.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) condition: Condition,
    pub(crate) reason: LitStr,
}

/// A statement that was read, perhaps without its reason.
struct Draft {
    key: Ident,
    /// None if what was written is noted as a mistake already.
    condition: Option<Condition>,
    reason: Option<LitStr>,
    /// Whether a reason was written, be it one that can't be read.
    reason_written: bool,
}

/// The statements of one property, as they are read.
#[derive(Default)]
pub(crate) struct Statements {
    drafts: Vec<Draft>,
    /// `reason = "…"` beside the statements rather than inside one.
    loose_reason: Option<(Ident, Option<LitStr>)>,
}

const HOW: [(&str, &str); 3] = [
    ("insecure", "insecure(reason = \"…\")"),
    ("insecure_if", "insecure_if(value, …, reason = \"…\")"),
    ("insecure_when", "insecure_when(path::to::function, reason = \"…\")"),
];

impl Statements {
    /// Takes `insecure…` in any of its spellings.
    pub(crate) fn take(&mut self, argument: Argument, mistakes: &mut Mistakes) {
        let key = argument.key.unraw().to_string();
        let how = HOW.iter().find(|(known, _)| *known == key).map_or("", |(_, how)| how);
        let mut draft = Draft {
            key: argument.key.clone(),
            condition: None,
            reason: None,
            reason_written: false,
        };
        match (key.as_str(), &argument.form) {
            ("insecure", Form::Word) => draft.condition = Some(Condition::NotDefault),
            ("insecure_when", Form::Equals(_)) => {
                draft.condition = argument.path(how, mistakes).map(Condition::When);
            }
            (_, Form::List(tokens)) => draft.fill(&key, how, tokens.clone(), mistakes),
            _ => argument.wrong_form(how, mistakes),
        }
        self.drafts.push(draft);
    }

    pub(crate) fn take_reason(&mut self, argument: &Argument, mistakes: &mut Mistakes) {
        self.loose_reason = Some((argument.key.clone(), argument.string(mistakes)));
    }

    pub(crate) fn first_key(&self) -> Option<&Ident> {
        self.drafts.first().map(|draft| &draft.key)
    }

    /// Whether a statement lists values, and where.
    pub(crate) fn values_key(&self) -> Option<&Ident> {
        let lists = |draft: &&Draft| matches!(draft.condition, Some(Condition::Values(_)));
        self.drafts.iter().find(lists).map(|draft| &draft.key)
    }

    /// Gives each statement its reason.
    pub(crate) fn judge(mut self, mistakes: &mut Mistakes) -> Vec<Statement> {
        if let Some((key, reason)) = self.loose_reason.take() {
            let mut lacking = self.drafts.iter_mut().filter(|draft| !draft.reason_written);
            match (lacking.next(), lacking.next()) {
                (Some(only), None) => {
                    only.reason = reason;
                    only.reason_written = true;
                }
                (None, _) => mistakes.at(
                    key,
                    "a reason belongs to a statement: write `insecure(reason = \"…\")`, or leave \
                     it out",
                ),
                (Some(_), Some(_)) => {
                    mistakes.at(
                        key,
                        "which statement has this reason? Write each reason inside its statement's \
                         own parentheses, as in `insecure_if(value, reason = \"…\")`",
                    );
                    // That says what each of them lacks.
                    self.drafts.iter_mut().for_each(|draft| draft.reason_written = true);
                }
            }
        }
        let mut statements = Vec::new();
        for draft in self.drafts {
            let key = draft.key.to_string();
            if !draft.reason_written {
                let how = HOW.iter().find(|(known, _)| *known == key).map_or("", |(_, how)| how);
                mistakes.at(&draft.key, format!("`{key}` lacks its reason: write `{how}`"));
            }
            if let (Some(condition), Some(reason)) = (draft.condition, draft.reason) {
                statements.push(Statement { condition, reason });
            }
        }
        statements
    }
}

/// What can stand between the parentheses of a statement.
enum Part {
    Value(Box<Expr>),
    Reason(Argument),
}

fn part(input: ParseStream<'_>, mistakes: &mut Mistakes) -> syn::Result<Part> {
    // A lone `=` behind a word can't be part of a value.
    if input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
        let key = Ident::parse_any(input)?;
        input.parse::<Token![=]>()?;
        let value = input.parse()?;
        if key != "reason" {
            let instead = suggestion::instead(&key.to_string(), &["reason"]);
            mistakes.at(&key, format!("there is no key `{key}` here: {instead}"));
        }
        return Ok(Part::Reason(Argument { key, form: Form::Equals(Box::new(value)) }));
    }
    input.parse().map(Part::Value)
}

impl Draft {
    fn fill(&mut self, key: &str, how: &str, tokens: TokenStream, mistakes: &mut Mistakes) {
        let mut values = Vec::new();
        for part in arguments::items(tokens, mistakes, part) {
            match part {
                Part::Value(value) => values.push(*value),
                Part::Reason(argument) if self.reason_written => {
                    mistakes.at(&argument.key, "`reason` is written twice: leave one out");
                }
                Part::Reason(argument) => {
                    self.reason_written = true;
                    self.reason = argument.string(mistakes);
                }
            }
        }
        let mut values = values.into_iter();
        self.condition = match (key, values.next()) {
            ("insecure", None) => Some(Condition::NotDefault),
            ("insecure_if", Some(first)) => {
                return self.condition =
                    Some(Condition::Values(std::iter::once(first).chain(values).collect()));
            }
            ("insecure_when", Some(Expr::Path(path))) if path.qself.is_none() => {
                Some(Condition::When(path.path))
            }
            (_, Some(value)) => {
                mistakes.at(value, format!("write `{how}`"));
                None
            }
            (_, None) => {
                mistakes.at(&self.key, format!("`{key}` is about no value: write `{how}`"));
                None
            }
        };
        if let Some(more) = values.next() {
            mistakes.at(more, format!("write `{how}`"));
        }
    }
}
