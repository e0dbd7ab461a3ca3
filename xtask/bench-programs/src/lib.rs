//! What the programs that measure themselves share: types by the thousand.

/// Submits a type for each number of as many decimal digits as there are words.
///
/// `$submit` is a macro of the caller's that gets the digits of one: `0 4 2`.
#[macro_export]
macro_rules! each_number {
    ($submit:ident; $next:ident $($rest:ident)*; $($digit:tt)*) => {
        $crate::each_number!($submit; $($rest)*; $($digit)* 0);
        $crate::each_number!($submit; $($rest)*; $($digit)* 1);
        $crate::each_number!($submit; $($rest)*; $($digit)* 2);
        $crate::each_number!($submit; $($rest)*; $($digit)* 3);
        $crate::each_number!($submit; $($rest)*; $($digit)* 4);
        $crate::each_number!($submit; $($rest)*; $($digit)* 5);
        $crate::each_number!($submit; $($rest)*; $($digit)* 6);
        $crate::each_number!($submit; $($rest)*; $($digit)* 7);
        $crate::each_number!($submit; $($rest)*; $($digit)* 8);
        $crate::each_number!($submit; $($rest)*; $($digit)* 9);
    };
    ($submit:ident; ; $($digit:tt)*) => {
        $submit!($($digit)*);
    };
}
