//! Mounts the operations: actix routes to their handlers, paperclip lists them for the OpenAPI document.

use std::collections::BTreeMap;

use actix_web::Resource;
use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::http::Method;
use paperclip::actix::{Mountable, web};
use paperclip::v2::models::{DefaultOperationRaw, DefaultSchemaRaw, HttpMethod, SecurityScheme};

use super::operations::{Access, Operation, Operations};

/// Mounts every operation. A path without names in braces goes before one with them, since the first that fits is taken.
pub(super) fn mount(config: &mut web::ServiceConfig<'_>, operations: Operations) {
    let mut paths: Vec<MountedPath> = Vec::new();
    for operation in operations.iter() {
        match paths.iter_mut().find(|mounted| mounted.path == operation.path) {
            Some(mounted) => mounted.operations.push(operation),
            None => paths.push(MountedPath { path: operation.path, operations: vec![operation] }),
        }
    }
    paths.sort_by_key(|mounted| mounted.path.contains('{'));
    for mounted in paths {
        config.service(mounted);
    }
}

/// The operations on one path.
struct MountedPath {
    path: &'static str,
    operations: Vec<&'static Operation>,
}

impl HttpServiceFactory for MountedPath {
    fn register(self, config: &mut AppService) {
        let mut resource = Resource::new(self.path);
        for operation in self.operations {
            resource = resource.route((operation.route)().method(method(operation)));
        }
        resource.register(config);
    }
}

impl Mountable for MountedPath {
    fn path(&self) -> &str {
        self.path
    }

    fn operations(&mut self) -> BTreeMap<HttpMethod, DefaultOperationRaw> {
        let described = self.operations.iter().filter_map(|operation| Some((operation, operation.tag?)));
        let described = described.map(|(operation, tag)| {
            let raw = DefaultOperationRaw {
                operation_id: Some(operation.id.to_owned()),
                summary: Some(operation.summary.to_owned()),
                description: Some(format!("{}\n\n{}", operation.description, access(operation.access))),
                tags: vec![tag.name.to_owned()],
                ..DefaultOperationRaw::default()
            };
            (HttpMethod::from(&method(operation)), raw)
        });
        described.collect()
    }

    // schemars describes the models, and the document has one security scheme for all operations.
    fn definitions(&mut self) -> BTreeMap<String, DefaultSchemaRaw> {
        BTreeMap::new()
    }

    fn security_definitions(&mut self) -> BTreeMap<String, SecurityScheme> {
        BTreeMap::new()
    }
}

fn method(operation: &Operation) -> Method {
    Method::from_bytes(operation.method.as_bytes()).unwrap_or_default()
}

fn access(access: Access) -> String {
    match access {
        Access::Public => "Public: needs no token.".to_owned(),
        Access::Authenticated => "Needs a token, and no particular permission.".to_owned(),
        Access::Needs(permission) => format!("Needs the permission `{permission}`."),
    }
}
