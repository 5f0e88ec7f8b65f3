from django.urls import path

from blog import views

urlpatterns = [
    path("", views.PostList.as_view(), name="posts"),
    path("search/", views.search, name="search"),
    path("<int:pk>/", views.post_detail, name="post"),
    path("<int:pk>/comments/", views.comments, name="comments"),
]
