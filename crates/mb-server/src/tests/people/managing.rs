//! Other people's accounts: who may do what to whom, and that a `user_manager` becomes nothing by it.

use mb_api::paths::{self, with_id};
use mb_core::account::{UserAction, may_manage};
use mb_core::{Role, UserId, UserRole};
use mb_store::User;
use serde_json::{Value, json};

use super::super::asking::{Answer, Asking};
use super::super::fixture::Fixture;
use super::{PASSWORD, text};

/// Everything that can be asked for about one user, with what it needs.
const OF_ONE: [(&str, &str, UserAction); 11] = [
    ("GET", paths::USER, UserAction::View),
    ("PUT", paths::USER_STATUS, UserAction::SetStatus),
    ("PUT", paths::USER_PASSWORD, UserAction::SetPassword),
    ("PUT", paths::USER_CLIENT, UserAction::SetTerms),
    ("PUT", paths::USER_EXPIRY, UserAction::SetTerms),
    ("PUT", paths::USER_SENDING, UserAction::SetTerms),
    ("DELETE", paths::USER_TWO_FACTOR, UserAction::ResetTwoFactor),
    ("GET", paths::USER_SESSIONS, UserAction::EndSessions),
    ("DELETE", paths::USER_SESSIONS, UserAction::EndSessions),
    ("PUT", paths::USER_ROLE, UserAction::SetRole),
    ("DELETE", paths::USER, UserAction::Delete),
];

fn body_of(path: &str) -> Value {
    match path {
        paths::USER_STATUS => json!({ "is_active": true }),
        paths::USER_PASSWORD => json!({ "new_password": "Another horse 2" }),
        paths::USER_CLIENT => json!({ "client_id": null }),
        paths::USER_EXPIRY => json!({ "expires_at": null }),
        paths::USER_SENDING => json!({ "may_send": true }),
        paths::USER_ROLE => json!({ "role": "user" }),
        _ => Value::Null,
    }
}

async fn ask(asking: &Asking<'_>, method: &str, path: &str, id: UserId) -> Answer {
    let path_of = with_id(path, &id);
    match method {
        "GET" => asking.get(&path_of).await,
        "PUT" => asking.put(&path_of, body_of(path)).await,
        _ => asking.delete(&path_of).await,
    }
}

async fn user(fixture: &Fixture, id: UserId) -> User {
    fixture.store.user(id).await.expect("reads").expect("there is one")
}

#[tokio::test]
async fn every_users_route_allows_what_the_rule_allows_and_nothing_else() {
    let fixture = Fixture::new().await;
    // One who stays, so that the last admin is nobody's question here.
    fixture.user("root@x.org", UserRole::Admin).await;
    for actor in UserRole::ALL {
        let name = format!("{actor}@x.org");
        fixture.user(&name, actor).await;
        let (access, _) = fixture.tokens(&name).await;
        let asking = fixture.bearer(&access);
        for target in UserRole::ALL {
            for (n, (method, path, action)) in OF_ONE.into_iter().enumerate() {
                let victim = fixture.user(&format!("{actor}-{target}-{n}@x.org"), target).await;
                let answer = ask(&asking, method, path, victim.id).await;
                if may_manage(actor, target, action) {
                    assert!(answer.status < 300, "{actor} {method} {path} {target}: {answer:?}");
                } else {
                    assert_eq!(answer.problem(), (403, "forbidden"), "{actor} {method} {path} {target}");
                    assert_eq!(user(&fixture, victim.id).await, victim, "{actor} {method} {path} {target}");
                }
            }
        }
        let nobody = ask(&asking, "GET", paths::USER, UserId::new(9999)).await;
        let expected = if actor == UserRole::User { (403, "forbidden") } else { (404, "not_found") };
        assert_eq!(nobody.problem(), expected);
    }
}

#[tokio::test]
async fn a_user_manager_makes_no_admin_by_any_path() {
    let fixture = Fixture::new().await;
    let manager = fixture.user("manager@x.org", UserRole::UserManager).await;
    let plain = fixture.user("plain@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("manager@x.org").await;
    let asking = fixture.bearer(&access);
    for role in UserRole::ALL {
        for target in [&manager, &plain] {
            let answer = asking.put(&with_id(paths::USER_ROLE, &target.id), json!({ "role": role })).await;
            assert_eq!(answer.problem(), (403, "forbidden"), "{} to {role}", target.email);
        }
        let new = json!({ "email": format!("new-{role}@x.org"), "password": PASSWORD, "role": role });
        assert_eq!(asking.post(paths::USERS, new).await.problem(), (403, "forbidden"), "creates {role}");
    }
    // Members that are none are refused, so none can smuggle a role in.
    for path in [paths::USER_STATUS, paths::USER_PASSWORD] {
        let mut body = body_of(path);
        body["role"] = "admin".into();
        assert_eq!(asking.put(&with_id(path, &plain.id), body).await.status, 422, "{path}");
    }
    let profile = asking.put(paths::PROFILE, json!({ "role": "admin" })).await;
    assert_eq!(profile.status, 405);
    assert_eq!(user(&fixture, manager.id).await, manager);
    assert_eq!(user(&fixture, plain.id).await, plain);
    assert_eq!(fixture.store.users().await.expect("reads").len(), 2);
}

#[tokio::test]
async fn a_user_manager_lists_plain_users_whatever_it_asks_for() {
    let fixture = Fixture::new().await;
    for (email, role) in [("a@x.org", UserRole::User), ("b@x.org", UserRole::Admin), ("m@x.org", UserRole::UserManager)]
    {
        fixture.user(email, role).await;
    }
    let (access, _) = fixture.tokens("m@x.org").await;
    let list = async |asking: &Asking<'_>, query: &str| {
        let page = asking.get(&format!("{}{query}", paths::USERS)).await.ok(200);
        page["data"].as_array().expect("a list").iter().map(|row| text(&row["email"])).collect::<Vec<_>>()
    };
    let manager = fixture.bearer(&access);
    assert_eq!(list(&manager, "").await, ["a@x.org"]);
    assert_eq!(list(&manager, "?role=user").await, ["a@x.org"]);
    for query in ["?role=admin", "?role=user_manager", "?email=b@x.org"] {
        assert!(list(&manager, query).await.is_empty(), "{query}");
    }
    let admin = fixture.certificate(Role::Admin).await;
    assert_eq!(list(&admin, "").await, ["a@x.org", "b@x.org", "m@x.org"]);
    assert_eq!(list(&admin, "?role=admin").await, ["b@x.org"]);
    assert_eq!(list(&admin, "?email=M@x.org").await, ["m@x.org"]);
    assert_eq!(list(&admin, "?is_active=false").await, [""; 0]);
}

#[tokio::test]
async fn users_come_page_by_page() {
    let fixture = Fixture::new().await;
    for n in 0..7 {
        fixture.user(&format!("u{n}@x.org"), UserRole::ALL[n % 3]).await;
    }
    let admin = fixture.certificate(Role::Admin).await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("{}?limit=3{cursor}", paths::USERS)).await.ok(200);
        found.extend(page["data"].as_array().expect("a list").iter().map(|row| text(&row["email"])));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, (0..7).map(|n| format!("u{n}@x.org")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_user_is_found_by_address_however_many_come_before() {
    let fixture = Fixture::new().await;
    for n in 0..60 {
        fixture.user(&format!("u{n:02}@x.org"), UserRole::User).await;
    }
    let admin = fixture.certificate(Role::Admin).await;
    let found = async |query: &str| {
        let page = admin.get(&format!("{}?email=U59@x.org{query}", paths::USERS)).await.ok(200);
        assert_eq!(page["next"], Value::Null, "{query}");
        page["data"].as_array().expect("a list").iter().map(|row| text(&row["email"])).collect::<Vec<_>>()
    };
    for query in ["", "&limit=1", "&role=user", "&is_active=true"] {
        assert_eq!(found(query).await, ["u59@x.org"], "{query}");
    }
    for query in ["&role=admin", "&is_active=false", "&client_id=acme"] {
        assert_eq!(found(query).await, [""; 0], "{query}");
    }
}

#[tokio::test]
async fn what_would_take_a_setting_away_has_to_be_said() {
    let fixture = Fixture::new().await;
    let user = fixture.user("a@x.org", UserRole::User).await;
    let admin = fixture.certificate(Role::Admin).await;
    for (path, member) in [(paths::USER_EXPIRY, "expires_at"), (paths::USER_CLIENT, "client_id")] {
        let answer = admin.put(&with_id(path, &user.id), json!({})).await;
        assert_eq!(answer.problem(), (422, "validation_failed"), "{path}");
        assert!(text(&answer.body["errors"][0]["detail"]).contains(member), "{answer:?}");
        admin.put(&with_id(path, &user.id), json!({ member: null })).await.ok(200);
    }
    let path = paths::CLIENT_RATE_LIMIT.replace("{id}", "acme");
    let answer = admin.put(&path, json!({})).await;
    assert_eq!(answer.problem(), (422, "validation_failed"));
    assert!(text(&answer.body["errors"][0]["detail"]).contains("rate_limit"), "{answer:?}");
}

#[tokio::test]
async fn an_admin_adds_users_who_sign_in_until_their_account_ends() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    let end = fixture.clock.now().plus(std::time::Duration::from_hours(1));
    let new =
        json!({ "email": "New@X.org", "password": PASSWORD, "role": "user", "expires_at": end, "may_send": true });
    let added = admin.post(paths::USERS, new.clone()).await.ok(201);
    assert_eq!((&added["email"], &added["may_send"]), (&json!("new@x.org"), &json!(true)));
    assert_eq!(admin.post(paths::USERS, new).await.problem(), (409, "conflict"));
    let (access, _) = fixture.tokens("new@x.org").await;
    fixture.clock.set(end);
    assert!(!fixture.knows(&access).await);
    assert_eq!(fixture.log_in("new@x.org", PASSWORD).await.problem(), (401, "wrong_credentials"));
    for (body, pointer) in [
        (json!({ "email": "b@x.org", "password": "short", "role": "user" }), "/password"),
        (json!({ "email": "b@x.org", "password": PASSWORD, "role": "user", "client_id": "nobody" }), "/client_id"),
    ] {
        let answer = admin.post(paths::USERS, body).await;
        assert_eq!(
            (answer.problem(), &answer.body["errors"][0]["pointer"]),
            ((422, "validation_failed"), &json!(pointer))
        );
    }
}

#[tokio::test]
async fn the_last_admin_stays() {
    let fixture = Fixture::new().await;
    let last = fixture.user("root@x.org", UserRole::Admin).await;
    let admin = fixture.certificate(Role::Admin).await;
    let attempts = [
        admin.delete(&with_id(paths::USER, &last.id)).await,
        admin.put(&with_id(paths::USER_STATUS, &last.id), json!({ "is_active": false })).await,
        admin.put(&with_id(paths::USER_ROLE, &last.id), json!({ "role": "user" })).await,
        admin.put(&with_id(paths::USER_EXPIRY, &last.id), json!({ "expires_at": fixture.clock.now() })).await,
    ];
    for answer in attempts {
        assert_eq!(answer.problem(), (409, "conflict"));
    }
    assert_eq!(user(&fixture, last.id).await, last);
}
