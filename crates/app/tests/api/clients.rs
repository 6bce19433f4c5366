//! The SQL of docs/clients.md, executed as it stands there.

use std::fs;

use mass_domain::access::Role;
use uuid::Uuid;

use crate::support::documents::reading;
use crate::support::process::repository;
use crate::support::{OTHER_TENANT, TENANT, TestApp};

// SQLite has neither roles nor policies.
also_restricted!(a_dashboard_sees_its_tenant_alone_whatever_it_sets);

/// A role for dashboards, named for one test, since roles belong to the whole cluster.
struct DashboardRole<'a> {
    app: &'a TestApp,
    name: String,
}

impl DashboardRole<'_> {
    fn lines(&self, set_up: &[&str], query: &str) -> Vec<String> {
        self.app.database().lines_as(&self.name, set_up, query)
    }
}

impl Drop for DashboardRole<'_> {
    fn drop(&mut self) {
        let Self { app, name } = self;
        app.execute(&format!("DROP POLICY {name} ON mass_requests; DROP OWNED BY {name}; DROP ROLE {name}"));
    }
}

fn sql_blocks() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/clients.md")).unwrap();
    let blocks = page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

async fn a_dashboard_sees_its_tenant_alone_whatever_it_sets(app: TestApp) {
    app.post("/v1/mass-requests").json(&reading("own")).await.expect(201);
    app.foreigner(Role::Operator).await.post("/v1/mass-requests").json(&reading("foreign")).await.expect(201);
    let [create, panel] = &sql_blocks()[..] else { panic!("two blocks are expected in docs/clients.md") };

    let name = format!("grafana_{}", Uuid::now_v7().simple());
    let create = create.replace("grafana_acme", &name).replace("'acme'", &format!("'{TENANT}'"));
    app.execute(&create.replace('…', &name));
    let role = DashboardRole { app: &app, name };

    let panel = panel.replace("$__timeFilter(observed_at)", "observed_at IS NOT NULL");
    let seen = format!(
        "SELECT concat(metric, ' ', value) AS line FROM ({panel}) AS panel \
         UNION ALL SELECT device_id AS line FROM mass_requests"
    );
    assert_eq!(role.lines(&[], &seen), ["own 22.5", "own"]);
    // Also where a dashboard names another tenant.
    let as_other = format!("SET mass.tenant = '{OTHER_TENANT}'");
    assert_eq!(role.lines(&[&as_other], &seen), Vec::<String>::new());
    assert_eq!(app.database().count("mass_requests"), 2);
}
