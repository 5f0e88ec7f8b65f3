"""What signing up, in and out, devices, profiles and filters take and answer."""

from __future__ import annotations

from messaging.described.schemas import (
    ANY_OBJECT,
    BOOLEAN,
    CLIENT,
    EMPTY,
    INTEGER,
    STRING,
    USER_ID,
    Shape,
    at_least,
    list_of,
    map_of,
    nullable,
    obj,
    ref,
    typed,
)

__all__ = ["SHAPES"]

_TEXT = nullable(STRING)
_USER = f"{CLIENT}/user/{{userId}}"
_PROFILE = f"{CLIENT}/profile/{{userId}}"
_DEVICE = f"{CLIENT}/devices/{{deviceId}}"

SHAPES = (
    Shape(
        "GET",
        "/_matrix/client/versions",
        obj(versions_=list_of(STRING), unstable_features=map_of(BOOLEAN)),
    ),
    Shape(
        "GET",
        "/.well-known/matrix/client",
        typed({"m.homeserver": obj(base_url_=STRING)}, "m.homeserver"),
    ),
    Shape("GET", f"{CLIENT}/capabilities", obj(capabilities_=ANY_OBJECT)),
    Shape("GET", f"{CLIENT}/login", obj(flows_=list_of(obj(type_=STRING)))),
    Shape(
        "POST",
        f"{CLIENT}/login",
        ref("SignedIn"),
        body=obj(
            type_=STRING,
            identifier=obj(type_=STRING, user=STRING),
            user=_TEXT,
            password=STRING,
            device_id=_TEXT,
            initial_device_display_name=_TEXT,
            refresh_token=BOOLEAN,
        ),
    ),
    Shape(
        "POST",
        f"{CLIENT}/register",
        obj(
            user_id_=USER_ID,
            home_server=STRING,
            access_token=STRING,
            device_id=STRING,
            refresh_token=STRING,
            expires_in_ms=at_least(0),
        ),
        query={"kind": STRING},
        body=obj(
            username=_TEXT,
            password=STRING,
            device_id=_TEXT,
            initial_device_display_name=_TEXT,
            inhibit_login=BOOLEAN,
            refresh_token=BOOLEAN,
            auth=ref("Auth"),
        ),
        errors=(401,),
    ),
    Shape(
        "GET",
        f"{CLIENT}/register/available",
        obj(available_=BOOLEAN),
        query={"username!": STRING},
    ),
    Shape(
        "POST",
        f"{CLIENT}/refresh",
        obj(access_token_=STRING, refresh_token=STRING, expires_in_ms=at_least(0)),
        body=obj(refresh_token_=STRING),
        errors=(401,),
    ),
    Shape("POST", f"{CLIENT}/logout", EMPTY),
    Shape("POST", f"{CLIENT}/logout/all", EMPTY),
    Shape(
        "GET",
        f"{CLIENT}/account/whoami",
        obj(user_id_=USER_ID, device_id=STRING, is_guest=BOOLEAN),
    ),
    Shape(
        "POST",
        f"{CLIENT}/account/password",
        EMPTY,
        body=obj(new_password_=STRING, logout_devices=BOOLEAN, auth=ref("Auth")),
    ),
    Shape(
        "POST",
        f"{CLIENT}/account/deactivate",
        obj(id_server_unbind_result_=STRING),
        body=obj(auth=ref("Auth"), erase=BOOLEAN, id_server=STRING),
        body_required=False,
    ),
    Shape("GET", f"{CLIENT}/devices", obj(devices_=list_of(ref("Device")))),
    Shape("GET", _DEVICE, ref("Device")),
    Shape("PUT", _DEVICE, EMPTY, body=obj(display_name=_TEXT)),
    Shape("DELETE", _DEVICE, EMPTY, body=obj(auth=ref("Auth")), body_required=False),
    Shape(
        "POST",
        f"{CLIENT}/delete_devices",
        EMPTY,
        body=obj(devices_=list_of(STRING), auth=ref("Auth")),
    ),
    Shape("POST", f"{_USER}/filter", obj(filter_id_=STRING), body=ref("Filter")),
    Shape("GET", f"{_USER}/filter/{{filterId}}", ref("Filter")),
    Shape("GET", _PROFILE, ref("Profile")),
    Shape("GET", f"{_PROFILE}/{{keyName}}", ref("Profile")),
    Shape("PUT", f"{_PROFILE}/{{keyName}}", EMPTY, body=obj(displayname=_TEXT, avatar_url=_TEXT)),
    Shape(
        "POST",
        f"{CLIENT}/user_directory/search",
        obj(
            results_=list_of(obj(user_id_=USER_ID, display_name=STRING, avatar_url=STRING)),
            limited_=BOOLEAN,
        ),
        body=obj(search_term_=STRING, limit=INTEGER),
    ),
)
