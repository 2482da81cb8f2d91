//! The figures for people.

use antiphon_model::{AtInterval, SpeedReport};

/// The figures, each with a line of explanation.
pub(super) fn render(report: &SpeedReport) -> String {
    let mut text = format!("{}, {} cores\n", report.processor, report.cores);
    text += &kernels(report);
    text += &one_core(report);
    text += &machine(report);
    if let Some(carried) = &report.at_interval {
        text += &carries(carried);
    }
    text
}

fn kernels(report: &SpeedReport) -> String {
    let mut text =
        "\nDiffie-Hellman and peeling, by kernel (microseconds of one core)\n".to_owned();
    for kernel in &report.kernels {
        text += &match (kernel.dh_us, kernel.peel_us) {
            (Some(dh), Some(peel)) => format!(
                "  {:<18} {dh:>9.2} DH  {peel:>9.2} an onion  {:>9} onions/s/core\n",
                kernel.name,
                rounded(1e6 / peel)
            ),
            _ => format!("  {:<18} not on this machine\n", kernel.name),
        };
    }
    text
}

fn one_core(report: &SpeedReport) -> String {
    let mut text = "\nOne core\n".to_owned();
    for (name, value, unit) in [
        ("build, with tables", report.build_us_per_hop, "us an onion and hop; noise"),
        ("build, without", report.build_us_per_hop_without_tables, "us an onion and hop; clients"),
        (
            "suite 2, build",
            report.kem_build_us_per_hop.unwrap_or(f64::NAN),
            "us more an onion and hop",
        ),
        ("suite 2, peel", report.kem_peel_us.unwrap_or(f64::NAN), "us more an onion"),
        (
            "cell",
            report.cell_us.unwrap_or(f64::NAN),
            "us a cell of 256 bytes and hop, moved to its place",
        ),
        ("reply", report.reply_us, "us a reply and hop"),
        ("close a layer", report.close_us, "us an onion: finding copies, gathering at random"),
        ("filter, insert", report.filter_insert_ns, "ns an onion"),
        ("filter, test", report.filter_test_ns, "ns an onion"),
        ("sign", report.sign_us, "us a batch header"),
        ("check a signature", report.verify_us, "us a batch header"),
        ("hash", report.hash_ns_per_byte, "ns a byte"),
        ("link, both ends", report.link_cpu_ns_per_byte, "ns a byte, over loopback"),
    ] {
        text += &format!("  {name:<18} {value:>9.2} {unit}\n");
    }
    text
}

fn machine(report: &SpeedReport) -> String {
    let mut text = "\nThe machine\n".to_owned();
    text += &format!(
        "  {:<18} {:>9} onions/s peeled by all cores at once, {:.2} of the ideal\n",
        "all cores",
        rounded(report.onions_per_s_all_cores),
        report.core_scaling
    );
    let link = report.link_gbytes_per_s;
    text += &format!("  {:<18} {link:>9.2} GB/s over loopback\n", "one link");
    text
}

fn carries(carried: &AtInterval) -> String {
    let heading = format!(
        "\nA shard on this machine, one of {}, a round every {} s, {:.0} % of its cores' time\n",
        carried.network_shards,
        carried.interval_s,
        100.0 * carried.most_load
    );
    let noise = carried.noise_per_shard;
    if carried.users_at_interval == 0 {
        return heading
            + &format!("  none: its noise alone, {noise} onions a round, takes longer\n");
    }
    let all = rounded(carried.network_users_at_interval as f64);
    heading
        + &format!(
            "  {:<18} {:>9} of {all} in the network\n",
            "users",
            rounded(carried.users_at_interval as f64)
        )
        + &format!("  {:<18} {noise:>9} onions a round\n", "noise")
        + &format!("  {:<18} {:>9.2} Gbit/s in each direction\n", "link", carried.gbps_at_interval)
        + &format!("  {:<18} {:>9.2} GB\n", "memory", carried.memory_at_interval_bytes * 1e-9)
}

/// Three significant digits, and blanks between thousands.
fn rounded(value: f64) -> String {
    let digits = value.abs().max(1.0).log10().floor() as i32 - 2;
    let unit = 10f64.powi(digits.max(0));
    let whole = ((value / unit).round() * unit) as u64;
    let text = whole.to_string();
    let head = text.len() % 3;
    let mut groups: Vec<&str> = if head > 0 { vec![&text[..head]] } else { Vec::new() };
    groups.extend((head..text.len()).step_by(3).map(|at| &text[at..at + 3]));
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_can_be_read() {
        for (value, text) in
            [(0.0, "0"), (999.0, "999"), (1234.0, "1 230"), (1_234_567.0, "1 230 000")]
        {
            assert_eq!(rounded(value), text);
        }
    }
}
