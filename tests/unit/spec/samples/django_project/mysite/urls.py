from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path, re_path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("polls/", include("polls.urls")),
    path("ping/", lambda request: HttpResponse("pong")),
    re_path(r"^old/(\d+)$", lambda request, n: HttpResponse(n)),
]
