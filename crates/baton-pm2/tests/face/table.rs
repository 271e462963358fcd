//! The table against what PM2 7.0.4 printed for such processes.

use crate::common::{demo, online, seen, stopped, version};
use baton_core::spec::{AppSpec, ExecMode};
use baton_core::units::{Bytes, Instant, Millis};
use baton_core::world::{InstanceView, State, units};
use baton_pm2::style::Colour;
use baton_pm2::table::{Grouping, Sort, TableOptions, UNKNOWN_WIDTH, bytes, duration, list, mini_list, unit_list};

fn options(width: usize) -> TableOptions<'static> {
    TableOptions { width, colour: Colour::Off, sort: Sort::default(), grouping: Grouping::None, version: &version }
}

fn slots() -> Vec<InstanceView> {
    let mb = |tenths: u64| Bytes(tenths * 1024 * 1024 / 10 + 1);
    let cluster = AppSpec { name: "clu".into(), namespace: "web".into(), exec_mode: ExecMode::Cluster, ..demo() };
    let cfg = AppSpec { name: "cfg".into(), ..demo() };
    let sleep = AppSpec { name: "slp".into(), script: "/bin/sleep".into(), ..demo() };
    let mut restarted = online(0, 14293, demo());
    restarted.restarts = 1;
    let mut waits = stopped(7, AppSpec { name: "waits".into(), ..demo() });
    waits.state = State::Backoff { until: Instant(400_000), delay: Millis(100_000) };
    let five_minutes = Millis(5 * 60_000);
    let watched = InstanceView { watching: true, ..seen(&online(1, 14231, cfg), five_minutes, mb(496)) };
    vec![
        seen(&restarted, five_minutes, mb(494)),
        watched,
        seen(&stopped(3, sleep), five_minutes, Bytes(0)),
        seen(&online(4, 14240, cluster), five_minutes, mb(484)),
        seen(&waits, five_minutes, Bytes(0)),
    ]
}

const FULL: &str = "\
┌────┬──────────┬─────────────┬─────────┬─────────┬──────────┬────────┬──────┬───────────┬──────────┬──────────┬──────────┬──────────┐
│ id │ name     │ namespace   │ version │ mode    │ pid      │ uptime │ ↺    │ status    │ cpu      │ mem      │ user     │ watching │
├────┼──────────┼─────────────┼─────────┼─────────┼──────────┼────────┼──────┼───────────┼──────────┼──────────┼──────────┼──────────┤
│ 1  │ cfg      │ default     │ 1.0.0   │ fork    │ 14231    │ 5m     │ 0    │ online    │ 0%       │ 49.6mb   │ root     │ enabled  │
│ 4  │ clu      │ web         │ 1.0.0   │ cluster │ 14240    │ 5m     │ 0    │ online    │ 0%       │ 48.4mb   │ root     │ disabled │
│ 0  │ demo     │ default     │ 1.0.0   │ fork    │ 14293    │ 5m     │ 1    │ online    │ 0%       │ 49.4mb   │ root     │ disabled │
│ 3  │ slp      │ default     │ N/A     │ fork    │ 0        │ 0      │ 0    │ stopped   │ 0%       │ 0b       │ root     │ disabled │
│ 7  │ waits    │ default     │ 1.0.0   │ fork    │ 0        │ 0      │ 0    │ waiting … │ 0%       │ 0b       │ root     │ disabled │
└────┴──────────┴─────────────┴─────────┴─────────┴──────────┴────────┴──────┴───────────┴──────────┴──────────┴──────────┴──────────┘
";

const CONDENSED: &str = "\
┌────┬──────────┬──────────┬──────┬───────────┬──────────┬──────────┐
│ id │ name     │ mode     │ ↺    │ status    │ cpu      │ memory   │
├────┼──────────┼──────────┼──────┼───────────┼──────────┼──────────┤
│ 1  │ cfg      │ fork     │ 0    │ online    │ 0%       │ 49.6mb   │
│ 4  │ clu      │ cluster  │ 0    │ online    │ 0%       │ 48.4mb   │
│ 0  │ demo     │ fork     │ 1    │ online    │ 0%       │ 49.4mb   │
│ 3  │ slp      │ fork     │ 0    │ stopped   │ 0%       │ 0b       │
│ 7  │ waits    │ fork     │ 0    │ waiting … │ 0%       │ 0b       │
└────┴──────────┴──────────┴──────┴───────────┴──────────┴──────────┘
";

const MINI: &str = "\
┌────┬──────────┬───────────┬────────┬──────────┐
│ id │ name     │ status    │ cpu    │ mem      │
├────┼──────────┼───────────┼────────┼──────────┤
│ 1  │ cfg      │ online    │ 0%     │ 49.6mb   │
│ 4  │ clu      │ online    │ 0%     │ 48.4mb   │
│ 0  │ demo     │ online    │ 0%     │ 49.4mb   │
│ 3  │ slp      │ stopped   │ 0%     │ 0b       │
│ 7  │ waits    │ waiting … │ 0%     │ 0b       │
└────┴──────────┴───────────┴────────┴──────────┘
";

#[test]
fn the_layout_follows_the_width_of_the_terminal() {
    let slots = slots();
    for width in [UNKNOWN_WIDTH, 134] {
        assert_eq!(list(&slots, &options(width)), FULL, "{width} columns");
    }
    for width in [133, 69] {
        assert_eq!(list(&slots, &options(width)), CONDENSED, "{width} columns");
    }
    for width in [68, 20] {
        assert_eq!(list(&slots, &options(width)), MINI, "{width} columns");
    }
}

#[test]
fn an_empty_table_has_a_head() {
    let text = list(&[], &options(UNKNOWN_WIDTH));
    assert_eq!(text.lines().count(), 3, "as under PM2, no rule under the heads");
    assert!(text.contains("│ id │ name      │ namespace   │"), "{text}");
}

#[test]
fn long_names_are_cut_by_layout() {
    let long = AppSpec { name: "a-very-long-name-for-an-application-that-goes-on".into(), ..demo() };
    let slots = [seen(&online(8, 1, long), Millis(0), Bytes(0))];
    let row = |width| list(&slots, &options(width)).lines().nth(3).map(str::to_owned).unwrap_or_default();
    assert!(row(300).contains("│ a-very-long-name-for-an-application-t… │"), "{}", row(300));
    assert!(row(140).contains("│ a-very-long-name-… │"), "{}", row(140));
    assert!(row(60).contains("│ a-very-long-n… │"), "{}", row(60));
}

#[test]
fn wide_characters_and_control_characters_keep_the_lines_straight() {
    let odd = AppSpec { name: "漢字\u{1b}[2J\n".into(), ..demo() };
    let text = list(&[seen(&online(0, 1, odd), Millis(0), Bytes(0))], &options(300));
    let widths: Vec<usize> = text.lines().map(baton_pm2::style::width).collect();
    assert_eq!(text.lines().count(), 5);
    assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{widths:?}\n{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn colours_are_those_of_pm2() {
    let coloured = TableOptions { colour: Colour::On, ..options(60) };
    let text = list(&slots(), &coloured);
    for piece in [
        "\x1b[90m┌────┬──────────┬───────────┬────────┬──────────┐\x1b[39m",
        "\x1b[32m\x1b[1monline\x1b[22m\x1b[39m    \x1b[90m│\x1b[39m",
        "\x1b[31m\x1b[1mstopped\x1b[22m\x1b[39m   \x1b[90m│\x1b[39m",
        // PM2 cuts the codes here and leaves nothing but `…`.
        "\x1b[31m\x1b[1mwaiting …\x1b[22m\x1b[39m \x1b[90m│\x1b[39m",
    ] {
        assert!(text.contains(piece), "{piece:?} in {text:?}");
    }
    let full = list(&slots(), &TableOptions { colour: Colour::On, ..options(300) });
    for piece in [
        "\x1b[7m\x1b[1mfork\x1b[22m\x1b[27m    ",
        "\x1b[34m\x1b[1mcluster\x1b[22m\x1b[39m ",
        "\x1b[90mdisabled\x1b[39m ",
    ] {
        assert!(full.contains(piece), "{piece:?}");
    }
}

#[test]
fn rows_are_ordered_as_asked() {
    let slots = slots();
    let ids = |text: &str| -> Vec<u32> {
        let sort = Sort::parse(text).expect("an order");
        sort.apply(&slots).iter().map(|view| view.id.0).collect()
    };
    assert_eq!(ids("name"), [1, 4, 0, 3, 7]);
    assert_eq!(ids("id:desc"), [7, 4, 3, 1, 0]);
    assert_eq!(ids("memory:desc"), [1, 0, 4, 3, 7]);
    assert_eq!(ids("namespace:desc"), [4, 0, 1, 3, 7]);
    assert!(Sort::parse("colour").is_none() && Sort::parse("id:up").is_none());
}

#[test]
fn units_are_used_from_two_of_them_on() {
    for (seconds, text) in [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (172_799, "47h"),
        (172_800, "2D"),
        (59 * 86_400, "59D"),
        (60 * 86_400, "2M"),
        (730 * 86_400, "2Y"),
    ] {
        assert_eq!(duration(Millis(seconds * 1000)), text);
    }
    for (size, text) in
        [(0, "0b"), (1023, "1023b"), (1024, "1.0kb"), (52_264_960, "49.8mb"), (3 << 30, "3.0gb"), (2 << 40, "2.0tb")]
    {
        assert_eq!(bytes(Bytes(size)), text);
    }
}

#[test]
fn the_mini_list_is_blocks_of_lines() {
    let mut instance = online(0, 14293, demo());
    instance.restarts = 1;
    let view = seen(&instance, Millis(26_000), Bytes(50_121_933));
    assert_eq!(
        mini_list(&[view], &options(300)),
        "+--- demo\nnamespace : default\nversion : 1.0.0\npid : 14293\npm2 id : 0\nstatus : online\nmode : fork\n\
         restarted : 1\nuptime : 26s\nmemory usage : 47.8mb \nerror log : /home/u/.pm2/logs/demo-error.log\n\
         watching : no\nPID file : /home/u/.pm2/pids/demo-0.pid\n\n"
    );
}

const GROUPED: &str = "\
┌────┬──────────┬───────────┬────────┬──────────┐
│ id │ name     │ status    │ cpu    │ mem      │
├─ web 1/1 ─────────────────────────────────────┤
│ 4  │ clu      │ online    │ 0%     │ 48.4mb   │
├─ default 2/4 waiting restart ─────────────────┤
│ 1  │ cfg      │ online    │ 0%     │ 49.6mb   │
│ 0  │ demo     │ online    │ 0%     │ 49.4mb   │
│ 3  │ slp      │ stopped   │ 0%     │ 0b       │
│ 7  │ waits    │ waiting … │ 0%     │ 0b       │
└────┴──────────┴───────────┴────────┴──────────┘
";

#[test]
fn rows_stand_together_by_unit_where_there_are_several() {
    let grouped = TableOptions { grouping: Grouping::Units, ..options(50) };
    assert_eq!(list(&slots(), &grouped), GROUPED);
    let one: Vec<InstanceView> = slots().into_iter().filter(|view| view.namespace == "default").collect();
    assert_eq!(list(&one, &grouped), list(&one, &options(50)), "one unit is no group");
    // A name that is longer than the table does not break it.
    let mut long = slots();
    long[0].namespace = "u".repeat(80);
    let table = list(&long, &grouped);
    let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
}

#[test]
fn a_unit_is_one_row() {
    let table = "\
┌───────────┬─────────────────┬──────────┬──────┬──────────┬──────────┐
│ unit      │ status          │ online   │ ↺    │ cpu      │ mem      │
├───────────┼─────────────────┼──────────┼──────┼──────────┼──────────┤
│ web       │ online          │ 1/1      │ 0    │ 0%       │ 48.4mb   │
│ default   │ waiting restart │ 2/4      │ 1    │ 0%       │ 99.0mb   │
└───────────┴─────────────────┴──────────┴──────┴──────────┴──────────┘
";
    assert_eq!(unit_list(&units(&slots()), Colour::Off), table);
}
