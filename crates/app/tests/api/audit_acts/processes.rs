//! The audit events of the program itself and of local commands.

use serde_json::json;

use super::{SYSTEM, query, read};
use crate::support::process::{Workplace, workplaces_on_both};
use crate::support::{PASSWORD, TENANT};

workplaces_on_both!(a_server_tells_of_its_start_and_stop, a_reset_password_is_told);

async fn a_server_tells_of_its_start_and_stop(workplace: Workplace) {
    let pepper = "a pepper that nobody must ever be told of, not even auditors";
    let workplace = workplace.with("MASS_PASSWORD_PEPPER", pepper).with_database_password("hunter2-hunter2");
    let server = workplace.serve();
    server.token().await;
    let started = || {
        let events = read(&workplace.lines(&query(SYSTEM)));
        events.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(started(), ["started"]);
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    assert_eq!(started(), ["started", "stopped"]);
    let lines = workplace.lines(&query(SYSTEM));
    let event = &read(&lines)[0];
    let system = json!({"kind": "system"});
    assert_eq!((&event["actor"], &event["object"]), (&system, &json!({"kind": "server"})));
    let configuration = &event["detail"]["configuration"];
    assert_eq!(configuration["MASS_PASSWORD_PEPPER"], "(set, not shown)");
    assert_eq!(configuration["MASS_BCRYPT_COST"], "10");
    for secret in [pepper, PASSWORD, "hunter2-hunter2"] {
        assert!(!lines.join("\n").contains(secret), "{secret}");
    }
}

async fn a_reset_password_is_told(workplace: Workplace) {
    let created = workplace.mass(&["create-user", "--email", "ana@example.test", "--role", "viewer"]);
    assert_eq!(created.status, Some(0), "{}", created.stderr);
    let reset = workplace.mass(&["reset-password", "--email", "ana@example.test"]);
    assert_eq!(reset.status, Some(0), "{}", reset.stderr);
    let events = read(&workplace.lines(&query(TENANT)));
    let actions: Vec<_> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["tenant_created", "user_created", "user_created", "password_reset"]);
    assert_eq!(events[3]["actor"], json!({"kind": "system"}));
    assert_eq!(events[3]["object"], events[2]["object"]);
    assert_ne!(events[3]["detail"]["credentials"], events[2]["detail"]["credentials"]);
}
