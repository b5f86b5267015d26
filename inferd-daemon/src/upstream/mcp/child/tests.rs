//! With real programs, which take real time.

use tokio::io::AsyncBufReadExt;

use super::*;

const PATIENCE: Duration = Duration::from_millis(500);

fn start(script: &str, env: &[&str]) -> (Child, ChildStdout, ChildStdin) {
    let command = ["sh", "-c", script].map(str::to_owned);
    let env: Vec<String> = env.iter().map(ToString::to_string).collect();
    Child::start(&command, &env, Arc::new(Ear::new("x")), PATIENCE).unwrap()
}

/// The first line that a program says.
async fn line(output: ChildStdout) -> String {
    let mut line = String::new();
    tokio::io::BufReader::new(output).read_line(&mut line).await.unwrap();
    line.trim().to_owned()
}

/// Whether the process of this number runs.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn a_program_gets_the_variables_that_are_named_and_no_others() {
    let (child, output, _input) = start(
        "export -p | grep -v ' PWD\\| OLDPWD\\| SHLVL\\| _=' | sort | tr '\\n' ' '; echo",
        &["PATH", "NOT_SET_AT_ALL"],
    );
    let environment = line(output).await;
    assert!(environment.contains("PATH=") && !environment.contains("HOME"), "{environment}");
    assert_eq!(environment.matches("export ").count(), 1, "{environment}");
    child.close().await;
}

#[tokio::test]
async fn how_a_program_ended_is_told_with_its_last_words() {
    let (child, _output, _input) = start("echo first >&2; echo 'cannot find \"x\"' >&2; exit 3", &[]);
    assert_eq!(child.run().await, "it ended: exit status: 3: cannot find \"x\"");
    child.close().await;
}

#[tokio::test]
async fn a_flood_of_errors_keeps_no_program_from_going_on() {
    let (child, output, _input) = start(
        "head -c 20000000 /dev/zero | tr '\\0' 'x' >&2; seq 100000 >&2; echo done; exec sleep 1000",
        &["PATH"],
    );
    let said = tokio::select! { said = line(output) => said, ended = child.run() => panic!("{ended}") };
    assert_eq!(said, "done");
    child.close().await;
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_all_it_has_started() {
    let stubborn = "trap '' TERM; (trap '' TERM; echo $$; while :; do sleep 1; done) & wait";
    let (child, output, _input) =
        start(&format!("sh -c \"{}\" & wait", stubborn.replace('$', "\\$")), &["PATH"]);
    let pid = line(output).await;
    assert!(runs(&pid), "{pid}");
    let begun = Instant::now();
    child.close().await;
    let took = begun.elapsed();
    assert!((PATIENCE..PATIENCE * 6).contains(&took), "{took:?}");
    assert!(!runs(&pid), "{pid} is left");
}

#[tokio::test]
async fn a_program_that_ends_when_it_is_told_to_is_not_waited_for_any_longer() {
    let (child, output, _input) =
        start("trap 'exit 0' TERM; echo $$; while :; do sleep 0.05; done", &["PATH"]);
    let pid = line(output).await;
    let begun = Instant::now();
    child.close().await;
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(!runs(&pid), "{pid} is left");
}

#[tokio::test]
async fn a_program_that_is_forgotten_is_killed() {
    let (child, output, _input) = start("sh -c 'echo $$; sleep 1000' & wait", &["PATH"]);
    let pid = line(output).await;
    drop(child);
    while runs(&pid) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let refused = Child::start(&["/no/such".to_owned()], &[], Arc::new(Ear::new("x")), PATIENCE).unwrap_err();
    assert!(refused.starts_with("cannot start /no/such: No such file"), "{refused}");
}
