//! Attribute macros that make a Rust struct or trait a type of the object model.

mod arguments;
mod base_path;
mod category;
mod doc_comment;
mod dyn_compatibility;
mod expand_info;
mod expand_property;
mod item;
mod item_struct;
mod item_trait;
mod literal;
mod mistakes;
mod names;
mod property;
mod property_attribute;
mod property_enum;
mod security;
mod suggestion;
mod type_attribute;

use proc_macro::TokenStream;

/// Makes a struct a concrete type, or a trait an abstract class, of the object model.
///
/// The attribute writes the type's `TypeInfo` and registers it at link time; the author writes what
/// is true of the type. A mistake is an error at the word that is wrong, and says what to write.
///
/// ```
/// use std::sync::Arc;
///
/// use qom_core::{ClassType, Live, Object, SecurityStatus, qom_type};
///
/// /// A part of a machine that the guest sees
/// #[qom_type(abstract, parent = Object, boundary(guest), category = "Misc devices")]
/// pub trait Device: Object {
///     /// Position on its bus
///     #[property(default = 0, range = 0..=31)]
///     fn slot(&self) -> u8;
/// }
///
/// /// Serial port
/// #[qom_type(secure, parent = Device, boundary(client))]
/// pub struct IsaSerial {
///     /// First port
///     #[property(default = 0x3f8, range = 0..=0xfff8)]
///     iobase: u16,
///     /// Bits per second
///     #[property(live, default = 9600, insecure_if(0, reason = "The guest can wait forever."))]
///     rate: Live<u32>,
///     // No property: it starts as `Default` makes it.
///     sent: Vec<u8>,
/// }
///
/// impl Device for IsaSerial {}
///
/// impl IsaSerial {
///     fn reset(&self) {
///         self.rate.set(9600);
///     }
/// }
///
/// let info = IsaSerial::INFO;
/// assert_eq!(info.name, "isa-serial");
/// assert_eq!(info.description, "Serial port");
/// assert_eq!(info.parent, Some("device"));
/// assert_eq!(info.status, SecurityStatus::Secure);
/// assert_eq!(info.properties[0].name, "iobase");
/// ```
///
/// # Keys
///
/// The first line of the doc comment is the description that help shows, so there must be one.
///
/// | key | on | meaning |
/// |---|---|---|
/// | `secure` | both | supported at every boundary that the type stands at |
/// | `insecure, reason = "…"` | both | known to be unfit, and why. With neither, the type is undeclared |
/// | `parent = Trait` | both | the class that it descends from: `Object`, or a trait with `#[qom_type]`. Required |
/// | `abstract` | traits | that the trait is a class. Required |
/// | `name = "…"` | both | name for users; the Rust name in kebab-case if absent |
/// | `interfaces(Trait, …)` | both | traits with [`macro@qom_interface`] that it adds to its ancestors' |
/// | `boundary(word, …)` | both | boundaries that it adds: `guest`, `file`, `network`, `client`, `passthrough`, `management` |
/// | `category = "…"` | both | heading in help, one of those of QEMU; inherited if absent |
/// | `new_category = "…"` | traits | heading in help that there was not, for all descendants |
/// | `deprecated = "…"` | both | what to use instead |
/// | `unstable` | both | that it may change or go without notice |
/// | `children = path` | structs | a `ChildrenFn`, which announces the children of each instance |
/// | `class_data = PATH`, `class_data(PATH, …)` | both | a `static` of a type that others know, for them to find by the class; of several types |
/// | `crate = path` | both | where qom-core is, if none of qom-core, device-model and vmm is a dependency |
///
/// # What becomes of the item
///
/// A trait names its parent and its interfaces as supertraits, and is dyn-compatible, since objects
/// are handed out as `Arc<dyn Trait>`. A struct implements the traits that it claims; it has named
/// fields and no parameters. It gets one more field, which only a permit of an object tree can
/// fill, so that no struct literal makes an object:
///
/// ```compile_fail,E0063
/// use qom_core::{Object, qom_type};
///
/// /// Port by which a test ends its guest
/// #[qom_type(insecure, reason = "It ends the process.", parent = Object)]
/// struct Exit {
///     port: u16,
/// }
///
/// let exit = Exit { port: 0xf4 };
/// ```
///
/// # Properties
///
/// In a struct, `#[property(…)]` makes a field a property: of a type that implements
/// `PropertyType`, or `Live<_>`, `Computed<_>` or `Link<_>` of one. All other fields start as
/// `Default` makes them. In a class, it stands on a method `fn name(&self) -> Type;` without a body;
/// all descendants have the property, and the method returns its value.
///
/// | key | meaning |
/// |---|---|
/// | `name = "…"` | name for users; the field's or method's in kebab-case if absent |
/// | `description = "…"` | if there is no doc comment whose first line serves |
/// | `default = value` | a value of the field's own type; as `Default` makes it if absent |
/// | `required` | that it has no default and must be given |
/// | `range = least..=greatest` | limits of an integer |
/// | `live` | that it can be written on the living object; a field is a `Live<_>` |
/// | `get = Self::method` | that a method computes it; the field is a `Computed<_>` |
/// | `link = dyn Trait` | that it refers to an object of a class: the field is a `Link<dyn Trait>`, a class's method returns `Option<Arc<dyn Trait>>` |
/// | `insecure(reason = "…")` | that every value but the default is insecure |
/// | `insecure_if(value, …, reason = "…")` | that these values are |
/// | `insecure_when(path, reason = "…")` | that the values are for which a function says so that sees the whole effective configuration |
/// | `deprecated = "…"` | what to use instead; a `-compat` policy can refuse that anybody gives it |
/// | `unstable` | that it may change or go without notice; as above |
///
/// A property can have several of the statements of insecurity. The only one may have its reason
/// beside it:
/// `insecure, reason = "…"`, `insecure_when = path, reason = "…"`.
///
/// ```
/// use std::sync::Arc;
///
/// use qom_core::{ClassType, Computed, Configuration, Link, Object, PlanError, qom_type};
///
/// /// Where characters come from and go to
/// #[qom_type(abstract, parent = Object, boundary(client))]
/// pub trait Chardev: Object {}
///
/// /// Counts what it is sent
/// #[qom_type(parent = Object)]
/// pub struct Counter {
///     /// What it listens to
///     #[property(link = dyn Chardev, required)]
///     chardev: Link<dyn Chardev>,
///     /// What users see
///     #[property(default = "counter", insecure_when(is_markup, reason = "A browser may run it."))]
///     label: String,
///     /// Half of the count
///     #[property(get = Self::half)]
///     half: Computed<u64>,
///     count: u64,
/// }
///
/// impl Counter {
///     fn half(&self) -> u64 {
///         self.count / 2
///     }
/// }
///
/// fn is_markup(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
///     Ok(configuration.get::<String>("label")?.contains('<'))
/// }
///
/// assert_eq!(Counter::INFO.properties[0].type_name(), "link<chardev>");
/// assert_eq!(Counter::INFO.properties[1].default_value(), "counter");
/// ```
#[proc_macro_attribute]
pub fn qom_type(attribute: TokenStream, item: TokenStream) -> TokenStream {
    item::qom_type(attribute.into(), item.into()).into()
}

/// Makes a trait an interface: methods without state, which classes of any ancestry may offer. Like
/// all objects, what offers it is `Send` and `Sync`; the trait demands that without being told.
///
/// ```
/// use qom_core::{ClassType, Object, qom_interface, qom_type};
///
/// /// What can be unplugged from a living guest
/// #[qom_interface(boundary(management))]
/// pub trait Hotplug {
///     /// Takes it away.
///     fn unplug(&self);
/// }
///
/// /// Card that can be taken out
/// #[qom_type(parent = Object, interfaces(Hotplug))]
/// pub struct Card;
///
/// impl Hotplug for Card {
///     fn unplug(&self) {}
/// }
///
/// assert_eq!(Card::INFO.interfaces, ["hotplug"]);
/// ```
///
/// | key | meaning |
/// |---|---|
/// | `name = "…"` | name for users; the trait's in kebab-case if absent |
/// | `secure`, or `insecure, reason = "…"` | as of [`macro@qom_type`] |
/// | `boundary(word, …)` | boundaries at which whatever offers it stands |
/// | `deprecated = "…"` | what to use instead |
/// | `unstable` | that it may change or go without notice |
/// | `crate = path` | where qom-core is |
///
/// A type that claims an interface and does not implement it is an error at its name:
///
/// ```compile_fail,E0277
/// use qom_core::{Object, qom_interface, qom_type};
///
/// /// What can be unplugged from a living guest
/// #[qom_interface]
/// trait Hotplug {}
///
/// /// Card that can be taken out
/// #[qom_type(parent = Object, interfaces(Hotplug))]
/// struct Card;
/// ```
#[proc_macro_attribute]
pub fn qom_interface(attribute: TokenStream, item: TokenStream) -> TokenStream {
    item::qom_interface(attribute.into(), item.into()).into()
}

/// Makes an enum without fields the type of a property whose values are words.
///
/// The words are the variants' names in kebab-case, and the type is called as the enum is. The enum
/// is `Clone`; and `Default`, if a property of it needs no default of its own.
///
/// ```
/// use qom_core::{PropertyEnum, PropertyType, ValueError};
///
/// /// What becomes of blocks of zeroes
/// #[derive(Clone, Copy, Debug, Default, PartialEq, PropertyEnum)]
/// enum DetectZeroes {
///     #[default]
///     Off,
///     On,
///     UnmapOnly,
///     #[property(name = "x-all")]
///     Everything,
/// }
///
/// assert_eq!(DetectZeroes::from_text("unmap-only"), Ok(DetectZeroes::UnmapOnly));
/// assert_eq!(DetectZeroes::Everything.to_json(), "x-all");
/// assert!(matches!(DetectZeroes::from_text("unmap"), Err(ValueError::Word { .. })));
/// ```
///
/// `#[property(name = "…")]` gives a variant another word, and the enum another name; on the enum,
/// `#[property(crate = path)]` says where qom-core is.
#[proc_macro_derive(PropertyEnum, attributes(property))]
pub fn property_enum(input: TokenStream) -> TokenStream {
    property_enum::expand(syn::parse_macro_input!(input)).into()
}
