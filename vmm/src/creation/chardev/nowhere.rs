//! The parts of a stream that leads nowhere, for types of tests.

/// Implements `Chardev` for a type, with what users see of where it leads.
macro_rules! nowhere {
    ($type:ident, $filename:literal) => {
        impl Chardev for $type {
            fn open(&self, _: &Platform) -> std::io::Result<()> {
                Ok(())
            }

            fn close(&self) {}

            fn write(&self, _: &[u8]) {}

            fn connect(&self, _: Frontend) -> bool {
                true
            }

            fn disconnect(&self) {}

            fn accept_input(&self) {}

            fn filename(&self) -> String {
                $filename.to_owned()
            }
        }
    };
}

pub(crate) use nowhere;
