//! Tenants that leave, as the operator of the server's machine sees it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ADMIN, TENANTS};
use crate::support::PASSWORD;
use crate::support::documents::{reading, simple};
use crate::support::process::{Workplace, workplaces_on_both};

workplaces_on_both! {
    an_operator_exports_a_suspended_tenant_and_verifies_the_erased_one,
}

#[tokio::test]
async fn a_server_without_the_owners_role_leaves_the_erasure_to_another() {
    let owner = Workplace::postgres_restricted().with("MASS_TENANT_DELETION_DAYS", "0");
    let serving = owner.sibling().without("MASS_MIGRATION_DATABASE_URL");
    let refused = serving.mass(&["migrate"]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("run `mass migrate` with MASS_MIGRATION_DATABASE_URL"), "{refused:?}");
    assert_eq!(owner.mass(&["migrate"]).status, Some(0));
    let server = serving.serve();
    let token = server.token().await;
    let post = async |path: &str, body: Value| {
        server.post(path, &body).bearer_auth(&token).send().await.unwrap().status().as_u16()
    };
    let new = json!({"id": "site-7", "admin": {"email": ADMIN, "password": PASSWORD}});
    assert_eq!(post(TENANTS, new).await, 201);
    for (step, status) in [("suspend", 200), ("deletion", 202)] {
        let reason = json!({"reason": "The pilot is over."});
        assert_eq!(post(&format!("{TENANTS}/site-7/{step}"), reason).await, status);
    }
    server.logs("the tenant site-7 is to be erased, which the role that serves may not do").await;
    assert!(server.logged().contains("MASS_MIGRATION_DATABASE_URL"));
    assert_eq!(server.fetch(&token, &format!("{TENANTS}/site-7")).await["status"], "deletion_requested");
    assert_eq!(server.get("/ready").send().await.unwrap().status(), 200);
    let metrics = server.get("/metrics").bearer_auth(&token).send().await.unwrap().text().await.unwrap();
    let failed = |line: &str| line.contains("task=\"tenant_erasure\"") && line.contains("outcome=\"failed\"");
    assert!(metrics.lines().any(failed), "{metrics}");
    owner.execute("UPDATE tenants SET deletion_due_at = '2026-01-01T00:00:00Z' WHERE id = 'site-7'");
    let examined = serving.mass(&["doctor"]);
    assert!(examined.stdout.contains("site-7 should have been erased since 2026-01-01"), "{examined:?}");

    let _other = owner.serve();
    while server.fetch(&token, &format!("{TENANTS}/site-7")).await["status"] != "erased" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn an_operator_exports_a_suspended_tenant_and_verifies_the_erased_one(workplace: Workplace) {
    let workplace = workplace.with("MASS_TENANT_DELETION_DAYS", "0");
    let server = workplace.serve();
    let token = server.token().await;
    let post = async |path: &str, body: Value| {
        let answer = server.post(path, &body).bearer_auth(&token).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    let new = json!({"id": "site-7", "admin": {"email": ADMIN, "password": PASSWORD}});
    assert_eq!(post(TENANTS, new).await.0, 201);
    workplace.write("sent.ndjson", format!("{}\n{}\n", reading("dev-1"), simple(json!({"a": 1}))));
    let import = ["import", "sent.ndjson", "--tenant", "site-7"];
    assert_eq!(workplace.mass(&import).status, Some(0));
    let reason = || json!({"reason": "The pilot is over."});
    assert_eq!(post(&format!("{TENANTS}/site-7/suspend"), reason()).await.0, 200);
    let refused = workplace.mass(&import);
    assert!(refused.status != Some(0) && refused.stderr.contains("suspended"), "{refused:?}");

    let exported = workplace.mass(&["export", "--tenant", "site-7", "--out", "documents.ndjson"]);
    assert_eq!(exported.stdout, "2 requests exported to documents.ndjson\n", "{exported:?}");
    let trail = workplace.mass(&["audit", "export", "--tenant", "site-7", "--out", "trail.ndjson"]);
    assert_eq!(trail.status, Some(0), "{trail:?}");
    assert!(workplace.read("trail.ndjson").contains("tenant_suspended"));

    assert_eq!(post(&format!("{TENANTS}/site-7/deletion"), reason()).await.0, 202);
    while server.fetch(&token, &format!("{TENANTS}/site-7")).await["status"] != "erased" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for tenant in ["site-7", "system", "default"] {
        let verified = workplace.mass(&["audit", "verify", "--live", "--tenant", tenant, "--json"]);
        let told: Value = serde_json::from_str(&verified.stdout).unwrap_or_else(|_| panic!("{verified:?}"));
        assert_eq!(told["result"], "good", "{tenant}: {verified:?}");
        if tenant == "site-7" {
            assert!(told["archived"].as_u64().unwrap() >= 5, "{told}");
        }
    }
    // What was exported is still verified against the signatures that the database keeps.
    let verified = workplace.mass(&["audit", "verify", "trail.ndjson"]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
    let trail = workplace.mass(&["audit", "export", "--tenant", "system", "--out", "system.ndjson"]);
    assert_eq!(trail.status, Some(0), "{trail:?}");
    let system = workplace.read("system.ndjson");
    for action in ["tenant_suspended", "tenant_deletion_requested", "tenant_erased"] {
        assert!(system.contains(action), "{action}");
    }
    assert_ne!(workplace.mass(&import).status, Some(0));
    let created =
        workplace.mass(&["create-user", "--tenant", "site-7", "--email", "x@site-7.test", "--role", "viewer"]);
    assert_ne!(created.status, Some(0), "{created:?}");
}
