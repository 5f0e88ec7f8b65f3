"""The REST API: domains."""

from __future__ import annotations

from litestar import get, patch

from shortener.api_parts import AnyRequest, answers, service_of
from shortener.domain_settings import list_domains, set_redirects
from shortener.drafts import EditDomainRedirects, redirects_of
from shortener.schemas import DomainList, DomainRedirects, domain_list, domain_redirects

__all__ = ["DOMAIN_HANDLERS"]


@get("/domains", operation_id="listDomains", tags=["Domains"], responses=answers())
async def get_domains(request: AnyRequest) -> DomainList:
    """All domains that links were made for or that have redirects, the default one first."""
    service = service_of(request)
    return domain_list(await list_domains(service.database), service.default_domain)


@patch(
    "/domains/redirects",
    operation_id="setDomainRedirects",
    tags=["Domains"],
    responses=answers(_400="Some of the data does not fit", _413="The body is longer than 64 KiB"),
)
async def patch_domain_redirects(request: AnyRequest, data: EditDomainRedirects) -> DomainRedirects:
    """Say where visitors of a domain go who find no link; a domain may be new."""
    service = service_of(request)
    domain, redirects = redirects_of(data, default_domain=service.default_domain)
    return domain_redirects(await set_redirects(service.database, domain, redirects))


DOMAIN_HANDLERS = [get_domains, patch_domain_redirects]
