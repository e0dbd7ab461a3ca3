//! Literals that are no values of a property's type: told by the macro, together with everything
//! else that is wrong, where the compiler would tell of some of them only when all else is right.

use quote::ToTokens;
use syn::{Expr, ExprLit, ExprUnary, GenericArgument, Lit, PathArguments, Type, UnOp};

use crate::{arguments, mistakes::Mistakes};

/// Integer types of properties with their limits.
const INTEGERS: [(&str, i128, i128); 8] = [
    ("u8", 0, u8::MAX as i128),
    ("u16", 0, u16::MAX as i128),
    ("u32", 0, u32::MAX as i128),
    ("u64", 0, u64::MAX as i128),
    ("i8", i8::MIN as i128, i8::MAX as i128),
    ("i16", i16::MIN as i128, i16::MAX as i128),
    ("i32", i32::MIN as i128, i32::MAX as i128),
    ("i64", i64::MIN as i128, i64::MAX as i128),
];

/// What a type is by its spelling.
enum Kind<'a> {
    Integer(&'static str, i128, i128),
    Bool,
    Text,
    Size,
    Optional(&'a Type),
}

impl<'a> Kind<'a> {
    fn of(ty: &'a Type) -> Option<Self> {
        let named = |name: &str| arguments::is_named(ty, name);
        if let Some((name, least, greatest)) = INTEGERS.into_iter().find(|(name, ..)| named(name)) {
            return Some(Self::Integer(name, least, greatest));
        }
        match () {
            () if named("bool") => Some(Self::Bool),
            () if named("String") => Some(Self::Text),
            () if named("Size") => Some(Self::Size),
            () if named("Option") => argument(ty).map(Self::Optional),
            () => None,
        }
    }
}

/// Whether `expression` may be a value of the type, as far as its spelling tells; notes it if not.
pub(crate) fn check(expression: &Expr, ty: &Type, mistakes: &mut Mistakes) -> bool {
    let (Some(literal), Some(kind)) = (Literal::of(expression), Kind::of(ty)) else {
        return true;
    };
    let write = match kind {
        Kind::Integer(name, least, greatest) => match (integer(expression), literal.suffix()) {
            (Some(number), "") if (least..=greatest).contains(&number) => return true,
            (Some(number), suffix) if (least..=greatest).contains(&number) => {
                if suffix == name {
                    return true;
                }
                format!("`{number}`")
            }
            _ => format!("an integer from {least} to {greatest}"),
        },
        Kind::Bool => match literal.0 {
            Lit::Bool(_) => return true,
            _ => "`true` or `false`".to_owned(),
        },
        Kind::Text => match literal.0 {
            Lit::Str(_) => return true,
            _ => "text in quotes".to_owned(),
        },
        Kind::Size => match integer(expression) {
            Some(0..) => format!("`Size({})`", spelled(expression)),
            _ => "`Size(bytes)`".to_owned(),
        },
        Kind::Optional(_) if matches!(literal.0, Lit::Str(_)) => {
            format!("`Some({}.into())`, or `None`", spelled(expression))
        }
        Kind::Optional(_) => format!("`Some({})`, or `None`", spelled(expression)),
    };
    note(expression, ty, &write, mistakes);
    false
}

/// The same for one end of the range of a property.
pub(crate) fn check_range_end(expression: &Expr, ty: &Type, mistakes: &mut Mistakes) -> bool {
    let (least, greatest) = match Kind::of(ty) {
        Some(Kind::Optional(inner)) => return check_range_end(expression, inner, mistakes),
        Some(Kind::Integer(_, least, greatest)) => (least, greatest),
        Some(Kind::Size) => (0, i128::from(u64::MAX)),
        // That it has no range is told at the type.
        Some(Kind::Bool | Kind::Text) | None => return true,
    };
    let fits = Literal::of(expression).is_none()
        || integer(expression).is_some_and(|number| (least..=greatest).contains(&number));
    if !fits {
        note(expression, ty, &format!("an integer from {least} to {greatest}"), mistakes);
    }
    fits
}

fn note(expression: &Expr, ty: &Type, write: &str, mistakes: &mut Mistakes) {
    let given = spelled(expression);
    let ty = spelled(ty);
    mistakes.at(expression, format!("`{given}` is no value of `{ty}`: write {write}"));
}

/// A literal or a type as an author writes it.
fn spelled(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    match text.strip_prefix("- ") {
        Some(magnitude) => format!("-{magnitude}"),
        None => text.replace(" < ", "<").replace(" >", ">"),
    }
}

/// A literal, perhaps behind a minus sign.
struct Literal<'a>(&'a Lit);

impl<'a> Literal<'a> {
    fn of(expression: &'a Expr) -> Option<Self> {
        match expression {
            Expr::Group(group) => Self::of(&group.expr),
            Expr::Lit(ExprLit { lit, .. }) => Some(Self(lit)),
            Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => Self::of(expr),
            _ => None,
        }
    }

    fn suffix(&self) -> &'a str {
        match self.0 {
            Lit::Int(literal) => literal.suffix(),
            _ => "",
        }
    }
}

/// The value of an integer literal, with its sign.
pub(crate) fn integer(expression: &Expr) -> Option<i128> {
    match arguments::ungroup(expression) {
        Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) => literal.base10_parse().ok(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => integer(expr)?.checked_neg(),
        _ => None,
    }
}

/// `T` for a type `Wrapper<T>`.
pub(crate) fn argument(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Group(group) => argument(&group.elem),
        Type::Path(path) => match &path.path.segments.last()?.arguments {
            PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
                GenericArgument::Type(inner) => Some(inner),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[track_caller]
    fn told(expression: &Expr, ty: &Type) -> String {
        let mut mistakes = Mistakes::default();
        let fits = check(expression, ty, &mut mistakes);
        assert_eq!(fits, mistakes.is_empty());
        mistakes.to_compile_errors().to_string()
    }

    #[test]
    fn a_literal_that_fits_and_whatever_is_no_literal_is_accepted() {
        for (expression, ty) in [
            (parse_quote!(255), parse_quote!(u8)),
            (parse_quote!(0xffu8), parse_quote!(u8)),
            (parse_quote!(-128), parse_quote!(i8)),
            (parse_quote!(18_446_744_073_709_551_615), parse_quote!(u64)),
            (parse_quote!(true), parse_quote!(bool)),
            (parse_quote!("x"), parse_quote!(String)),
            (parse_quote!(Size(5)), parse_quote!(Size)),
            (parse_quote!(MOST), parse_quote!(u8)),
            (parse_quote!(1 << 9), parse_quote!(u8)),
            (parse_quote!(999), parse_quote!(Custom)),
        ] {
            assert_eq!(told(&expression, &ty), "");
        }
    }

    #[test]
    fn any_other_literal_is_told_what_to_write() {
        for (expression, ty, write) in [
            (parse_quote!(256), parse_quote!(u8), "an integer from 0 to 255"),
            (parse_quote!(-1), parse_quote!(u32), "an integer from 0 to 4294967295"),
            (parse_quote!(-129), parse_quote!(i8), "an integer from -128 to 127"),
            (parse_quote!("1"), parse_quote!(u8), "an integer from 0 to 255"),
            (parse_quote!(1.5), parse_quote!(u8), "an integer from 0 to 255"),
            (parse_quote!(5u16), parse_quote!(u8), "write `5`"),
            (parse_quote!("on"), parse_quote!(bool), "`true` or `false`"),
            (parse_quote!(5), parse_quote!(String), "text in quotes"),
            (parse_quote!(5), parse_quote!(Size), "`Size(5)`"),
            (parse_quote!("5M"), parse_quote!(Size), "`Size(bytes)`"),
            (parse_quote!(5), parse_quote!(Option<u8>), "`Some(5)`"),
        ] {
            let told = told(&expression, &ty);
            assert!(told.contains(write), "{told}");
        }
    }

    #[test]
    fn the_ends_of_a_range_are_integers_of_the_type_in_any_spelling() {
        let fits = |end: Expr, ty: Type| check_range_end(&end, &ty, &mut Mistakes::default());
        assert!(fits(parse_quote!(255u64), parse_quote!(u8)));
        assert!(fits(parse_quote!(4096), parse_quote!(Size)));
        assert!(fits(parse_quote!(ALL), parse_quote!(u8)));
        assert!(!fits(parse_quote!(256), parse_quote!(u8)));
        assert!(!fits(parse_quote!(256), parse_quote!(Option<u8>)));
        assert!(!fits(parse_quote!(-1), parse_quote!(Size)));
        assert!(!fits(parse_quote!("9"), parse_quote!(u8)));
    }
}
