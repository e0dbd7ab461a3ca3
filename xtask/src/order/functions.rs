//! The functions of a program, from its symbol table.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSegment, ObjectSymbol, SymbolKind, elf};

/// Every function of a program.
pub(super) struct Functions {
    /// Names by the address that the file gives. Functions that came out alike share one.
    by_address: BTreeMap<u64, Vec<String>>,
    /// Where the part of the program that is executed begins: its address, its offset in the file.
    code: (u64, u64),
}

impl Functions {
    /// Reads the symbols of a program.
    pub(super) fn read(program: &Path) -> Result<Self> {
        let bytes =
            fs::read(program).with_context(|| format!("can't read {}", program.display()))?;
        let file = object::File::parse(&*bytes)?;
        let is_code = |segment: &object::Segment<'_, '_>| {
            matches!(segment.flags(), object::SegmentFlags::Elf { p_flags, .. }
                if p_flags & elf::PF_X == elf::PF_X)
        };
        let code = file.segments().find(is_code).context("the program has no code")?;
        let (offset, length) = code.file_range();
        let range = code.address()..code.address().saturating_add(length);
        let mut by_address: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for symbol in file.symbols() {
            let is_function = symbol.kind() == SymbolKind::Text && symbol.size() > 0;
            if is_function && range.contains(&symbol.address()) {
                by_address.entry(symbol.address()).or_default().push(symbol.name()?.to_owned());
            }
        }
        ensure!(!by_address.is_empty(), "{} has no symbols", program.display());
        Ok(Self { by_address, code: (range.start, offset) })
    }

    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = u64> {
        self.by_address.keys().copied()
    }

    /// What the function at an address is called.
    pub(super) fn names(&self, address: u64) -> &[String] {
        self.by_address.get(&address).map_or(&[], Vec::as_slice)
    }

    pub(super) fn all_names(&self) -> impl Iterator<Item = &str> {
        self.by_address.values().flatten().map(String::as_str)
    }

    /// Where the code begins: its address and its offset in the file.
    pub(super) fn code(&self) -> (u64, u64) {
        self.code
    }
}
