//! How many bytes may still be given in the present period.

/// A number of bytes that may be given in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    most: u64,
    left: u64,
}

impl Quota {
    /// All of that many bytes are left.
    #[must_use]
    pub const fn new(most: u64) -> Self {
        Self { most, left: most }
    }

    /// How many are left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// So many have been given. Whether the period begins with them, which are the first of it.
    pub const fn take(&mut self, bytes: u64) -> bool {
        let first = self.left == self.most;
        self.left = self.left.saturating_sub(bytes);
        first && bytes > 0
    }

    /// The period is over.
    pub const fn renew(&mut self) {
        self.left = self.most;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_most_is_given_in_a_period() {
        let mut quota = Quota::new(10);
        assert!(quota.take(4), "the period begins");
        assert!(!quota.take(4));
        assert_eq!(quota.left(), 2);
        assert!(!quota.take(u64::MAX));
        assert_eq!(quota.left(), 0);
        quota.renew();
        assert_eq!(quota.left(), 10);
        assert!(!quota.take(0), "nothing begins no period");
    }
}
