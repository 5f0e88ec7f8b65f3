from django.urls import include, path

from blog import views

urlpatterns = [
    path("healthz", views.healthz),
    path("posts/", include("blog.urls")),
    path("authors/<int:pk>/", views.AuthorView.as_view()),
]
