//! Making a service, or making it anew over what is there.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result};
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceDependency, ServiceErrorControl,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceSidType, ServiceStartType, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::{arguments, display_name, engines, name, virtual_account};
use crate::output;
use crate::service::{Part, Plan, acl};

/// After a first, a second and every later failure of a day.
const RESTARTS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)];
const DAY: Duration = Duration::from_hours(24);
/// What Windows allows for draining before it shuts down.
const SHUTDOWN: Duration = Duration::from_secs(60);

pub(super) fn install(plan: &Plan) -> Result<()> {
    std::fs::create_dir_all(&plan.data_dir).with_context(|| format!("create {}", plan.data_dir.display()))?;
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = ServiceManager::local_computer(None::<&str>, access);
    let manager = manager.context("connect to the service control manager, which takes an administrator")?;
    let present = engines::present();
    for part in &plan.parts {
        let service = define(&manager, &info(plan, *part, &present))?;
        for (what, refused) in manners(*part, &service) {
            let why = output::why(&refused.into());
            output::note(&format!("{}: {what} could not be set: {why}", name(*part)));
        }
        if let Err(error) = winlog2::register(display_name(*part)) {
            output::note(&format!("{}: no source of the event log: {error}", name(*part)));
        }
    }
    let accounts: Vec<_> = plan.parts.iter().map(|part| (*part, account(plan, *part))).collect();
    acl::harden(plan, &accounts);
    Ok(())
}

fn account(plan: &Plan, part: Part) -> String {
    plan.account.clone().unwrap_or_else(|| virtual_account(part))
}

fn info(plan: &Plan, part: Part, present: &[String]) -> ServiceInfo {
    let dependencies = engines::needed(part, &plan.data_dir, present);
    ServiceInfo {
        name: name(part).into(),
        display_name: display_name(part).into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: plan.program.clone(),
        launch_arguments: arguments(plan, part),
        dependencies: dependencies.into_iter().map(|name| ServiceDependency::Service(name.into())).collect(),
        account_name: Some(account(plan, part).into()),
        account_password: plan.password.as_ref().map(|password| OsString::from(password.expose())),
    }
}

fn define(manager: &ServiceManager, info: &ServiceInfo) -> Result<Service> {
    let access = ServiceAccess::QUERY_CONFIG | ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let name = info.name.to_string_lossy();
    if let Ok(service) = manager.open_service(&info.name, access) {
        service.change_config(info).with_context(|| format!("change the service {name}"))?;
        return Ok(service);
    }
    manager.create_service(info, access).with_context(|| format!("make the service {name}"))
}

/// What an old or foreign service control manager may not know, and what works without: told, and no failure.
fn manners(part: Part, service: &Service) -> Vec<(&'static str, windows_service::Error)> {
    let restart = |delay: &Duration| ServiceAction { action_type: ServiceActionType::Restart, delay: *delay };
    let recovery = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(DAY),
        reboot_msg: None,
        command: None,
        actions: Some(RESTARTS.iter().map(restart).collect()),
    };
    let done = [
        ("description", service.set_description(description(part))),
        ("recovery", service.update_failure_actions(recovery)),
        ("recovery after an error", service.set_failure_actions_on_non_crash_failures(true)),
        ("delayed start", service.set_delayed_auto_start(true)),
        ("own identity", service.set_config_service_sid_info(ServiceSidType::Unrestricted)),
        ("time to drain at shutdown", service.set_preshutdown_timeout(SHUTDOWN)),
    ];
    done.into_iter().filter_map(|(what, result)| Some((what, result.err()?))).collect()
}

const fn description(part: Part) -> &'static str {
    match part {
        Part::MainServer => "API, database, certificates and keys of the message broker.",
        Part::Proxy => "Takes messages in from clients; accepts while everything else is away.",
        Part::Worker => "Registers messages with the main server and delivers them.",
        Part::Portal => "Pages for users and administrators of the message broker.",
        Part::Up => "The whole message broker in one process.",
    }
}
