//! The mistakes of one item, collected so that its author sees all of them at once.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// Every mistake found so far, each at its own token.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    all: Option<syn::Error>,
    count: usize,
}

impl Mistakes {
    /// Notes a mistake at `tokens`. The message says what is wrong and what to write instead.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn add(&mut self, error: syn::Error) {
        self.count += 1;
        match &mut self.all {
            Some(all) => all.combine(error),
            None => self.all = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are, to see whether reading something added to them.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// An item with one `compile_error!` for each mistake; nothing if there is none.
    pub(crate) fn to_compile_errors(&self) -> TokenStream {
        let Some(all) = &self.all else {
            return TokenStream::new();
        };
        let errors = all.to_compile_error();
        // In a block, because the compiler does not tell of unknown names in a module where it finds
        // one of these: a name might be one that the failed macro should have defined.
        quote!(const _: () = { #errors };)
    }
}
