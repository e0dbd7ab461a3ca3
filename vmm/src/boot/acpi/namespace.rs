//! Names and identifiers of which no two devices have the same.

use std::collections::BTreeSet;

use device_model::acpi::AcpiDevice;

use super::AcpiPlatform;

/// Names the devices apart, and tells those of one `_HID` apart by their `_UID`. Of several that
/// want the same the first keeps it; the others count on from there (COM5, COM6). None takes what
/// another wants and can have. What can't be told apart is left for [`super::write_tables`] to
/// refuse.
#[must_use]
pub fn tell_apart(mut devices: Vec<AcpiDevice>) -> Vec<AcpiDevice> {
    let mut names = BTreeSet::new();
    let mut unique_ids = BTreeSet::new();
    // First what each can keep, so that nobody else is given it.
    let keeps: Vec<_> = devices
        .iter()
        .map(|device| {
            let id = (device.hardware_id.clone(), device.unique_id);
            (names.insert(device.name.clone()), unique_ids.insert(id))
        })
        .collect();
    for (device, (keeps_name, keeps_id)) in devices.iter_mut().zip(keeps) {
        if !keeps_name {
            let free = further_names(&device.name).find(|name| !names.contains(name));
            if let Some(name) = free {
                names.insert(name.clone());
                device.name = name;
            }
        }
        if !keeps_id {
            let further = device.unique_id.saturating_add(1)..=u32::MAX;
            let mut further = further.map(|id| (device.hardware_id.clone(), id));
            if let Some(id) = further.find(|id| !unique_ids.contains(id)) {
                device.unique_id = id.1;
                unique_ids.insert(id);
            }
        }
    }
    devices
}

/// The names that follow one: COM2 and so on after COM1, RTC1 after RTC_; and once those have run
/// out, D000 and so on. None is a processor's.
fn further_names(name: &str) -> impl Iterator<Item = String> {
    let numbered = name.trim_end_matches('_');
    let stem = numbered.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let number: u32 = numbered.strip_prefix(stem).and_then(|n| n.parse().ok()).unwrap_or(0);
    let stem = if stem.is_empty() { "D" } else { stem };
    (number.saturating_add(1)..100)
        .map(move |number| {
            let digits = if number < 10 { 1 } else { 2 };
            let stem: String = stem.chars().take(4 - digits).collect();
            format!("{:_<4}", format!("{stem}{number}"))
        })
        .chain((0..=0xfff_u32).map(|number| format!("D{number:03X}")))
        .filter(|name| !AcpiPlatform::is_cpu_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_apart(wishes: &[(&str, &str, u32)]) -> Vec<(String, u32)> {
        let devices = wishes.iter().map(|(name, hardware_id, unique_id)| AcpiDevice {
            name: (*name).to_owned(),
            hardware_id: (*hardware_id).to_owned(),
            unique_id: *unique_id,
            ..AcpiDevice::default()
        });
        let devices = tell_apart(devices.collect());
        devices.into_iter().map(|device| (device.name, device.unique_id)).collect()
    }

    #[test]
    fn what_differs_is_left_alone() {
        let wishes = [("COM2", "PNP0501", 2), ("RTC_", "PNP0B00", 0), ("COM1", "PNP0501", 1)];
        let same = wishes.map(|(name, _, id)| (name.to_owned(), id));
        assert_eq!(told_apart(&wishes), same);
        // Identifiers are told apart within one kind.
        assert_eq!(told_apart(&[("A___", "PNP0501", 0), ("B___", "PNP0B00", 0)])[1].1, 0);
    }

    #[test]
    fn the_later_of_two_counts_on_and_takes_nobody_s_place() {
        let com = |number| ("COM5", "PNP0501", number);
        let found = told_apart(&[com(5), com(5), ("COM6", "PNP0501", 6), com(5)]);
        let names: Vec<_> = found.iter().map(|(name, id)| (name.as_str(), *id)).collect();
        assert_eq!(names, [("COM5", 5), ("COM7", 7), ("COM6", 6), ("COM8", 8)]);
        let found = told_apart(&[("RTC_", "PNP0B00", 0), ("RTC_", "PNP0B00", u32::MAX)]);
        assert_eq!(found[1], ("RTC1".to_owned(), u32::MAX));
    }

    #[test]
    fn many_of_one_name_have_names_that_aml_has_and_no_processor() {
        let found = told_apart(&[("COM1", "PNP0501", 1); 300]);
        let names: BTreeSet<_> = found.iter().map(|(name, _)| name).collect();
        let ids: BTreeSet<_> = found.iter().map(|(_, id)| id).collect();
        assert_eq!((names.len(), ids.len()), (300, 300));
        for (name, unique_id) in &found {
            let hardware_id = "PNP0501".to_owned();
            let (name, unique_id) = (name.clone(), *unique_id);
            assert!(!AcpiPlatform::is_cpu_name(&name), "{name}");
            let device = AcpiDevice { name, hardware_id, unique_id, ..AcpiDevice::default() };
            super::super::device::check(&device).unwrap();
        }
    }

    #[test]
    fn any_name_at_all_gives_names() {
        for name in ["", "____", "1234", "9999", "99999999999", "\u{c9}1", "A_1_", "ABCD"] {
            let found = told_apart(&[(name, "PNP0501", 0), (name, "PNP0501", 0)]);
            assert_eq!(found[0].0, name);
            assert_ne!(found[1].0, name);
        }
    }
}
